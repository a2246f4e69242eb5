"""Face processes: the time of a complete check, checks a second with one and two processes, and the memory of each.

Part of `python -m bench.liveness --time`. The processes are those of `biometrics.pool`, as a verification worker runs them.
Processor time is that inside of a process; checks a second include the transfer of frames and results between processes,
but no queue, database or evidence store.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from biometrics.engines.base import EngineSet
from biometrics.engines.reference import ReferenceEngine
from biometrics.engines.registry import load_face_engines
from biometrics.liveness.actions import Action
from biometrics.matching.scoring import MatchReference
from biometrics.pool import FacePool, PoolLimits
from biometrics.tasks import BurstResult, FaceRules, Shot, verify_burst

ROUNDS, CHECKS_A_ROUND = 8, 3
"""Rounds with one naive picture each, and the number of checks after it."""
_WARM_UP, _CHECKS = 2, 24
"""Checks in each process before and during a measurement of throughput."""

Check = partial[BurstResult]


@dataclass(frozen=True, slots=True)
class CheckTimes:
    """Processor time in milliseconds: of naive pictures, of complete checks, and of one part of these."""

    naive: list[float]
    checks: list[float]
    changes: list[float]


def measure_face_processes(
    burst: Sequence[Shot], reference: MatchReference, rules: FaceRules, actions: Sequence[Action]
) -> dict[str, Any]:
    """Times, rates and memory by name."""
    check: Check = partial(
        verify_burst, burst=tuple(burst), reference=reference, rules=rules, actions=tuple(actions)
    )
    with _open_pool(1) as pool:
        rates, memory = [_measure_rate(pool, check, 1)], pool.submit(_resident_megabytes).result()
        times: CheckTimes = pool.submit(partial(_time_checks, check=check, picture=burst[0].data)).result()
    with _open_pool(2) as pool:
        rates.append(_measure_rate(pool, check, 2))
    median, naive = statistics.median(times.checks), statistics.median(times.naive)
    return {
        "check ms, median": round(median, 1),
        "check ms, best": round(min(times.checks), 1),
        "of it: change of the face ms, median": round(statistics.median(times.changes), 1),
        "of it: change of the face ms, best": round(min(times.changes), 1),
        "naive picture ms, median": round(naive, 1),
        "of a naive picture": round(median / naive, 3),
        "checks a second, one process": round(rates[0], 2),
        "checks a second, two processes": round(rates[1], 2),
        "two processes, times one": round(rates[1] / rates[0], 2),
        "memory of a process, MB": round(memory),
    }


def _open_pool(processes: int) -> FacePool:
    # The naive picture upsamples 720 x 1280 pixels for its search, which takes more memory than any check.
    limits = PoolLimits(workers=processes, job_seconds=300.0, memory_mib=4096)
    return FacePool(partial(load_face_engines, test_engine=False), limits)


def _time_checks(engines: EngineSet, check: Check, picture: bytes) -> CheckTimes:
    """Alternate naive pictures and checks in this process."""
    package = ReferenceEngine()
    package.describe(picture)
    times = CheckTimes([], [], [])
    for _ in range(ROUNDS):
        started = time.process_time()
        package.describe(picture)
        times.naive.append((time.process_time() - started) * 1000)
        for _ in range(CHECKS_A_ROUND):
            started = time.process_time()
            result = check(engines)
            times.checks.append((time.process_time() - started) * 1000)
            times.changes.append(result.ms["change"])
    return times


def _measure_rate(pool: FacePool, check: Check, processes: int) -> float:
    """Checks a second, after some to warm up."""
    _run(pool, check, _WARM_UP * processes)
    return _CHECKS * processes / _run(pool, check, _CHECKS * processes)


def _run(pool: FacePool, check: Check, count: int) -> float:
    """Seconds for `count` checks."""
    started = time.perf_counter()
    for future in [pool.submit(check) for _ in range(count)]:
        future.result()
    return time.perf_counter() - started


def _resident_megabytes(_: EngineSet) -> float:
    """The resident memory of the process that runs this task."""
    lines = Path("/proc/self/status").read_text().splitlines()
    kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    return kilobytes / 1024

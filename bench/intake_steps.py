"""What each step of taking an envelope in costs, one by one, in microseconds of processor time of the server's code.

The steps of the database are taken by the batch, as in a rush, and counted for each of its members; their elapsed time
is what the database adds.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from backend.core.clock import now
from backend.core.runtime import Runtime
from backend.identity.access_tokens import PhoneTokens
from backend.identity.authentication import HttpRequest, check_phone
from backend.roll_call.arrivals import Arrival, Facts, Stored, read_facts, store
from backend.roll_call.envelope import open_envelope
from backend.roll_call.intake import judge
from backend.roll_call.reception import BATCH
from bench.intake_school import ROLL_CALL


@dataclass(frozen=True, slots=True)
class Signed:
    """A request of the benchmark in its parts."""

    token: str
    proof: str
    envelope: str
    path: str


def measured(step: str, count: int, work: Callable[[], object]) -> dict[str, Any]:
    """One row: what `work` costs each of `count`."""
    began, cpu = time.monotonic(), time.process_time()
    work()
    return _row(step, count, time.monotonic() - began, time.process_time() - cpu)


async def awaited(step: str, count: int, work: Callable[[], Awaitable[Any]]) -> tuple[dict[str, Any], Any]:
    """The same for what waits for the database; and what it gave."""
    began, cpu = time.monotonic(), time.process_time()
    given = await work()
    return _row(step, count, time.monotonic() - began, time.process_time() - cpu), given


def _row(step: str, count: int, seconds: float, cpu: float) -> dict[str, Any]:
    return {
        "step": step,
        "cpu µs": round(1e6 * cpu / count, 1),
        "elapsed µs": round(1e6 * seconds / count, 1),
    }


async def steps(runtime: Runtime, requests: Sequence[Signed]) -> list[dict[str, Any]]:
    """A row for each step, over all the requests; nothing of it is committed."""
    at, count = now(), len(requests)
    tokens = PhoneTokens(runtime.keys)
    runtime.extras["phone_tokens"] = tokens
    rows = [measured("token, first seen", count, lambda: [tokens.read(each.token, at) for each in requests])]
    rows.append(
        measured("token, seen before", count, lambda: [tokens.read(each.token, at) for each in requests])
    )
    proofs: list[Any] = []
    asked = [HttpRequest("POST", each.path, f"DPoP {each.token}", each.proof) for each in requests]
    rows.append(
        measured("proof", count, lambda: proofs.extend(check_phone(runtime, each, at) for each in asked))
    )
    opened: list[Any] = []
    pairs = list(zip(requests, proofs, strict=True))
    rows.append(
        measured("envelope", count, lambda: opened.extend(open_envelope(e.envelope, p.key) for e, p in pairs))
    )
    arrivals = [
        Arrival(ROLL_CALL, each.envelope, content.digest, content, proof, at, at)
        for (each, proof), content in zip(pairs, opened, strict=True)
    ]
    return rows + await _of_the_database(runtime, arrivals)


async def _of_the_database(runtime: Runtime, arrivals: Sequence[Arrival]) -> list[dict[str, Any]]:
    sums: dict[str, list[tuple[float, float]]] = {}
    for start in range(0, len(arrivals) // BATCH * BATCH, BATCH):
        batch = arrivals[start : start + BATCH]
        for row in await _of_a_batch(runtime, batch):
            sums.setdefault(row["step"], []).append((row["cpu µs"], row["elapsed µs"]))
    return [
        {
            "step": step,
            "cpu µs": round(sum(cpu for cpu, _ in each) / len(each), 1),
            "elapsed µs": round(sum(elapsed for _, elapsed in each) / len(each), 1),
        }
        for step, each in sums.items()
    ]


async def _of_a_batch(runtime: Runtime, batch: Sequence[Arrival]) -> list[dict[str, Any]]:
    count = len(batch)
    async with runtime.database.direct.transaction() as connection:
        read, facts = await awaited("facts read", count, lambda: read_facts(connection, batch, wait=False))
        judged: list[Any] = []
        signed = measured(
            "judged, receipt signed", count, lambda: judged.extend(_judged(runtime, batch, facts))
        )
        stored = [each for each in judged if isinstance(each, Stored)]
        assert len(stored) == count, judged
        written, _ = await awaited("inserted", count, lambda: store(connection, stored, []))
        committed, _ = await awaited("committed", count, connection.commit)
    return [read, signed, written, committed]


def _judged(runtime: Runtime, batch: Sequence[Arrival], facts: Sequence[Facts | None]) -> list[Any]:
    return [judge(each, known, runtime.keys) for each, known in zip(batch, facts, strict=True) if known]

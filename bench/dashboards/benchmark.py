"""Live progress while a province checks in: latency of drill-downs, and delay of updates on 2,000 open dashboards.

    python -m bench.dashboards [--dashboards 2000] [--seconds 20]

One roll call of 25,000 classes in 500 schools (`dashboards_data`, created in seconds). One API process serves the
check-ins, the drill-downs and the streams; PostgreSQL, the load and, in another process, the dashboards run on the same
machine. "Half load" is half the number of envelopes per second that the same server accepted in this run without other
work.

- `drill-downs`: province → city → school with its classes, twenty requests a second by signed-in staff, on an idle
  server and at half load; for comparison the same rate on an empty route of the same server.
- `dashboards`: each with its own account and connection, for the whole province, 18 cities, 500 schools and 500
  counselors. All snapshots change together: one more student per school is present. The delay is measured from the
  commit to the arrival of the snapshot with that number.

"server cpu" is the share of one core that the API process used; "stolen" is the share of CPU time that the host gave to
other guests. If it is not close to zero, the latencies are those of the host.
"""

import argparse
import asyncio
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from backend.app import STAFF_PREFIX
from backend.core.process.open_files import raise_open_file_limit
from backend.devstack.services import Stack
from bench.dashboards.data import CITIES, SCHOOLS, Watcher, city_id, insert_data, school_id
from bench.dashboards.load import STUDENTS, Load, Verdicts, count_attempts
from bench.intake.benchmark import EMPTY, Bench, open_bench
from bench.intake.data import ROLL_CALL
from bench.intake.load import Run, Wire, connect
from bench.report import StolenTime, publish

REQUESTS_PER_SECOND = 20
ROUNDS, ROUND_SECONDS = 5, 4.0
WARM_UP_SECONDS = 4.0
"""Load before the measurement starts, to open connections and cache plans."""
Row = dict[str, Any]
_PROGRESS = f"{STAFF_PREFIX}/v1/roll-calls/{ROLL_CALL}/progress"


def percentile(seconds: Sequence[float], share: float) -> float:
    """The percentile in milliseconds."""
    ranked = sorted(seconds)
    return round(1000 * ranked[min(len(ranked) - 1, math.ceil(share * len(ranked)) - 1)], 1)


def process_memory(pid: int) -> float:
    """Resident memory of a process in megabytes."""
    line = next(each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each[:6] == "VmRSS:")
    return round(int(line.split()[1]) / 1024, 1)


# --- drill-downs ---


@dataclass(slots=True)
class Latencies:
    """Seconds of requests by target."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, what: str, seconds: float) -> None:
        """Add one request."""
        self.seconds.setdefault(what, []).append(seconds)

    def rows(self, when: str, **more: Any) -> list[dict[str, Any]]:
        """One row per target, and one for all drill-down requests together."""
        all_levels = [each for what, some in self.seconds.items() if what != "empty address" for each in some]
        return [
            {
                "when": when,
                "what": what,
                "looks": len(some),
                "p50 ms": percentile(some, 0.5),
                "p95 ms": percentile(some, 0.95),
                "p99 ms": percentile(some, 0.99),
                **more,
            }
            for what, some in {**self.seconds, "province → class": all_levels}.items()
        ]


def _progress_request(token: str, unit: object | None) -> bytes:
    query = f"?unit_id={unit}" if unit else ""
    return f"GET {_PROGRESS}{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


async def run_drill_downs(
    bench: Bench, token: str, empty: Sequence[bytes], until: Callable[[], bool]
) -> Latencies:
    """Send drill-down requests from the province to the classes of a school at a steady rate."""
    latencies, number, pending = Latencies(), 0, set[asyncio.Task[None]]()
    connections = {kind: await _open_connections(bench.port) for kind in ("look", "empty")}

    async def one(what: str, request: bytes, kind: str, wire: Wire) -> None:
        started = time.monotonic()
        status = await wire.send(request)
        latencies.add(what, time.monotonic() - started)
        assert status in {200, 201}, status
        connections[kind].put_nowait(wire)

    began = time.monotonic()
    while not until():
        step, school = number // 2 % 3, number // 6 * 7 % SCHOOLS
        if number % 2:
            what, request, kind = "empty address", empty[number % len(empty)], "empty"
        else:
            unit = (None, city_id(school % CITIES), school_id(school))[step]
            what, request, kind = ("province", "city", "school")[step], _progress_request(token, unit), "look"
        pending.add(task := asyncio.create_task(one(what, request, kind, await connections[kind].get())))
        task.add_done_callback(pending.discard)
        number += 1
        await asyncio.sleep(max(0.0, began + number / (2 * REQUESTS_PER_SECOND) - time.monotonic()))
    await asyncio.gather(*pending)
    for wires in connections.values():
        while not wires.empty():
            wires.get_nowait().close()
    return latencies


async def _open_connections(port: int) -> asyncio.Queue[Wire]:
    """Eight connections; if all wait for an answer, no further request is sent."""
    queue: asyncio.Queue[Wire] = asyncio.Queue()
    for wire in await connect(port, 8):
        queue.put_nowait(wire)
    return queue


# --- open dashboards ---


@dataclass(frozen=True, slots=True)
class Change:
    """A change of all snapshots: the time of its commit, and the number that shows it, by snapshot."""

    at: float
    present: dict[str, int]


@dataclass(frozen=True, slots=True)
class DashboardProcess:
    """The process that holds the open dashboards."""

    process: subprocess.Popen[str]
    opened: dict[str, Any]

    @classmethod
    def open(cls, port: int, watchers: Sequence[Watcher]) -> "DashboardProcess":
        """Start it; returns once every dashboard has its first snapshot or was refused."""
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.dashboards.clients", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        requests = [{"path": f"{_PROGRESS}/stream", "token": each.token} for each in watchers]
        process.stdin.write(json.dumps(requests) + "\n")
        process.stdin.flush()
        return cls(process, json.loads(process.stdout.readline()))

    def close(self) -> tuple[list[dict[str, Any]], float]:
        """The events of each dashboard, and the CPU seconds of the process."""
        output, _ = self.process.communicate()
        *dashboards, last = (json.loads(line) for line in output.splitlines())
        return dashboards, last["cpu"]


def measure_delays(
    watchers: Sequence[Watcher], dashboards: Sequence[dict[str, Any]], change: Change
) -> list[float | None]:
    """Seconds until each dashboard received the change; None if it never did."""
    delays: list[float | None] = []
    for watcher, dashboard in zip(watchers, dashboards, strict=True):
        expected = change.present[watcher.unit()]
        received = (at for at, present in dashboard["events"] if present >= expected)
        at = next(received, None)
        delays.append(None if at is None else at - change.at)
    return delays


@dataclass(slots=True)
class Rounds:
    """Consecutive changes of all snapshots, and the CPU time of the server meanwhile."""

    changes: list[Change] = field(default_factory=list)
    seconds: float = 0.0
    cpu: float = 0.0
    stolen: float = 0.0

    def row(
        self, when: str, watchers: Sequence[Watcher], dashboards: Sequence[dict[str, Any]]
    ) -> dict[str, Any]:
        """Delays over all dashboards and rounds."""
        delays = [each for change in self.changes for each in measure_delays(watchers, dashboards, change)]
        received = [each for each in delays if each is not None]
        started = self.changes[0].at
        pushed = sum(
            started <= at < started + self.seconds
            for dashboard in dashboards
            for at, _ in dashboard["events"]
        )
        return {
            "when": when,
            "changes": len(self.changes),
            "never told": len(delays) - len(received),
            "p50 ms": percentile(received, 0.5),
            "p95 ms": percentile(received, 0.95),
            "worst ms": percentile(received, 1.0),
            "pushes": pushed,
            "server cpu": round(self.cpu / self.seconds, 2),
            "cpu µs a push": round(1e6 * self.cpu / max(pushed, 1)),
            "stolen": self.stolen,
        }


async def run_rounds(bench: Bench, verdicts: Verdicts, count: int) -> Rounds:
    """Change all snapshots once per round."""
    result = Rounds()
    started, cpu, stolen = time.monotonic(), bench.cpu(), StolenTime()
    for _ in range(count):
        at = await asyncio.to_thread(verdicts.write, range(SCHOOLS), 1)
        result.changes.append(Change(at, verdicts.present.snapshot()))
        await asyncio.sleep(ROUND_SECONDS)
    result.seconds, result.cpu = time.monotonic() - started, bench.cpu() - cpu
    result.stolen = stolen.share()
    return result


# --- measurement ---


async def _measure_first_request(bench: Bench, token: str) -> float:
    """Seconds of the first request for a roll call in a process, which loads all its totals."""
    (wire,) = await connect(bench.port, 1)
    started = time.monotonic()
    status = await wire.send(_progress_request(token, None))
    wire.close()
    assert status == 200, status
    return time.monotonic() - started


async def _measure_drill_downs(
    bench: Bench, token: str, load: Load, verdicts: Verdicts, seconds: float
) -> list[Row]:
    """Drill-downs on an idle server and at half load."""
    empty = load.requests(256, EMPTY)
    cpu, stolen, first = bench.cpu(), StolenTime(), await _measure_first_request(bench, token)
    shares = {"server cpu": round(bench.cpu() - cpu, 2), "stolen": stolen.share()}
    rows = [Latencies({"first look": [first]}).rows("idle", **shares)[0]]
    ends, cpu, stolen = time.monotonic() + seconds, bench.cpu(), StolenTime()
    idle = await run_drill_downs(bench, token, empty, lambda: time.monotonic() > ends)
    shares = {"server cpu": round((bench.cpu() - cpu) / seconds, 2), "stolen": stolen.share()}
    rows += idle.rows("idle", **shares)
    requests = load.requests(int(load.rate * (WARM_UP_SECONDS + seconds)))
    cpu, database = bench.cpu(), bench.database_cpu()
    at_half = asyncio.create_task(load.run(requests))
    with verdicts.running(load.rate):
        await asyncio.sleep(WARM_UP_SECONDS)
        stolen = StolenTime()
        busy = await run_drill_downs(bench, token, empty, at_half.done)
    run = await at_half
    shares = {
        "server cpu": round((bench.cpu() - cpu) / run.seconds, 2),
        "stolen": stolen.share(),
        "database cpu": round((bench.database_cpu() - database) / run.seconds, 2),
    }
    return [{**row, "database cpu": "-"} for row in rows] + busy.rows(
        f"half load, {_describe(run)}", **shares
    )


def _describe(run: Run) -> str:
    return f"{run.rate:.0f}/s, p99 {run.percentile(0.99):.0f} ms, {dict(run.statuses)}"


async def _measure_dashboards(
    bench: Bench, watchers: Sequence[Watcher], load: Load, verdicts: Verdicts, seconds: float
) -> tuple[list[Row], list[Row]]:
    """Dashboards without check-ins and at half load, and drill-downs while they are open."""
    before, cpu, stolen = process_memory(bench.process.pid), bench.cpu(), StolenTime()
    process = await asyncio.to_thread(DashboardProcess.open, bench.port, watchers)
    opened, firsts = process.opened["seconds"], process.opened["first_boards"]
    opening = {
        "when": f"opened in {opened:.1f} s, refused {process.opened['refused'] or 0}",
        "changes": 0,
        "never told": 0,
        "p50 ms": percentile(firsts, 0.5),
        "p95 ms": percentile(firsts, 0.95),
        "worst ms": percentile(firsts, 1.0),
        "pushes": len(firsts),
        "server cpu": round((bench.cpu() - cpu) / opened, 2),
        "cpu µs a push": round(1e6 * (bench.cpu() - cpu) / len(firsts)),
        "stolen": stolen.share(),
    }
    quiet = await run_rounds(bench, verdicts, ROUNDS)
    count = max(1, int(seconds / ROUND_SECONDS))
    requests, empty = (
        load.requests(int(load.rate * (WARM_UP_SECONDS + count * ROUND_SECONDS))),
        load.requests(64, EMPTY),
    )
    at_half = asyncio.create_task(load.run(requests))
    with verdicts.running(load.rate):
        await asyncio.sleep(WARM_UP_SECONDS)
        drill_downs = asyncio.create_task(run_drill_downs(bench, watchers[0].token, empty, at_half.done))
        busy = await run_rounds(bench, verdicts, count)
    run, latencies = await at_half, await drill_downs
    await asyncio.sleep(ROUND_SECONDS)  # until the last change has arrived
    after = process_memory(bench.process.pid)
    dashboards, client = await asyncio.to_thread(process.close)
    dropped = sum(dashboard["closed"] for dashboard in dashboards)
    memory = {
        "memory MB": f"{before:.0f} → {after:.0f}",
        "dropped": dropped,
        "client cpu s": round(client, 1),
    }
    rows = [opening, quiet.row("no check-ins", watchers, dashboards)]
    rows.append(busy.row(f"half load, {_describe(run)}", watchers, dashboards))
    shares = {
        "server cpu": round(busy.cpu / busy.seconds, 2),
        "stolen": busy.stolen,
        "database cpu": "-",
    }
    return [{**row, **memory} for row in rows], latencies.rows(
        f"half load, {len(watchers)} dashboards", **shares
    )


async def _measure(bench: Bench, arguments: argparse.Namespace, attempts: int) -> None:
    started = time.monotonic()
    watchers = await asyncio.to_thread(insert_data, bench.dsn, bench.keys, arguments.dashboards)
    load, verdicts = Load(bench, attempts), Verdicts(bench)
    accepted = await load.find_capacity()
    print(
        f"inserted the data in {time.monotonic() - started:.0f} s; {accepted:.0f} envelopes a second accepted, half load is"
        f" {load.rate:.0f}; load of the machine {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    rows = await _measure_drill_downs(bench, watchers[0].token, load, verdicts, arguments.seconds)
    dashboard_rows, more_rows = await _measure_dashboards(bench, watchers, load, verdicts, arguments.seconds)
    target = "province → class within 50 ms at the 95th percentile, at half load"
    publish("drill-down", target, rows + more_rows)
    publish(
        "dashboards", f"{arguments.dashboards} open dashboards of one process, none dropped", dashboard_rows
    )


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(prog="python -m bench.dashboards")
    parser.add_argument("--dashboards", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    raise_open_file_limit()
    uvloop.install()
    # The drill-downs and the dashboards have a load of their own.
    attempts = count_attempts(2 * (WARM_UP_SECONDS + arguments.seconds))
    with open_bench(Stack.from_environment(os.environ), STUDENTS, attempts=attempts, processes=1) as bench:
        asyncio.run(_measure(bench, arguments, attempts))

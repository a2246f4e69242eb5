"""Live progress while a province checks in: how long a drill-down takes, and how late 2,000 open dashboards are told.

    python -m bench.dashboards [--dashboards 2000] [--seconds 20]

One roll call of 25,000 classes in 500 schools (`dashboards_world`, built anew in
seconds). One API process serves the check-ins, the looks and the streams; PostgreSQL, the load and, in a process of its
own, the dashboards share the machine with it. "Half load" is half of the envelopes a second that the same server
accepted in this run with nothing else to do.

- `drill-downs`: province → city → school with its classes, twenty looks a second by people who are signed in, with an
  idle server and at half load; beside them the empty address of the same server, which is what the machine can do.
- `dashboards`: each with an account and a connection of its own, of the whole province, of 18 cities, of 500 schools and
  of 500 counselors. Every board changes at once: one more student is found present in each school. The delay is from
  the commit until the board with that figure has arrived.

"server cpu" is the share of one core that the API process took; "stolen" what the machine's host gave to others
meanwhile, of all that was wanted: where it is not next to nothing, latencies tell of the host.
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
from bench.dashboards_data import CITIES, SCHOOLS, Watcher, city_id, plant, school_id
from bench.dashboards_load import ATTEMPTS, STUDENTS, Load, Verdicts
from bench.intake import EMPTY, Bench, benched
from bench.intake_data import ROLL_CALL
from bench.intake_load import Run, Wire, connect
from bench.report import Stolen, publish

LOOKS_A_SECOND = 20
ROUNDS, ROUND_SECONDS = 5, 4.0
UNDER_WAY = 4.0
"""Seconds of load before anybody looks: its connections have been opened, and the database has its plans."""
Row = dict[str, Any]
_PROGRESS = f"{STAFF_PREFIX}/v1/roll-calls/{ROLL_CALL}/progress"


def percentile(seconds: Sequence[float], share: float) -> float:
    """Milliseconds."""
    ranked = sorted(seconds)
    return round(1000 * ranked[min(len(ranked) - 1, math.ceil(share * len(ranked)) - 1)], 1)


def memory_of(pid: int) -> float:
    """Megabytes that a process holds."""
    line = next(each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each[:6] == "VmRSS:")
    return round(int(line.split()[1]) / 1024, 1)


# --- drill-downs ---


@dataclass(slots=True)
class Looks:
    """Seconds that looks took, by what was looked at."""

    taken: dict[str, list[float]] = field(default_factory=dict)

    def add(self, what: str, seconds: float) -> None:
        """One more."""
        self.taken.setdefault(what, []).append(seconds)

    def rows(self, when: str, **more: Any) -> list[dict[str, Any]]:
        """By level, and all looks of a drill-down together."""
        drilled = [each for what, taken in self.taken.items() if what != "empty address" for each in taken]
        return [
            {
                "when": when,
                "what": what,
                "looks": len(taken),
                "p50 ms": percentile(taken, 0.5),
                "p95 ms": percentile(taken, 0.95),
                "p99 ms": percentile(taken, 0.99),
                **more,
            }
            for what, taken in {**self.taken, "province → class": drilled}.items()
        ]


def _look(token: str, unit: object | None) -> bytes:
    asked = f"?unit_id={unit}" if unit else ""
    return f"GET {_PROGRESS}{asked} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


async def drill(bench: Bench, token: str, empty: Sequence[bytes], until: Callable[[], bool]) -> Looks:
    """People who go down from the province to a school's classes, look by look at a steady rate."""
    looks, number, pending = Looks(), 0, set[asyncio.Task[None]]()
    people = {kind: await _people(bench.port) for kind in ("look", "empty")}

    async def one(what: str, request: bytes, kind: str, wire: Wire) -> None:
        began = time.monotonic()
        status = await wire.send(request)
        looks.add(what, time.monotonic() - began)
        assert status in {200, 201}, status
        people[kind].put_nowait(wire)

    began = time.monotonic()
    while not until():
        step, school = number // 2 % 3, number // 6 * 7 % SCHOOLS
        if number % 2:
            what, request, kind = "empty address", empty[number % len(empty)], "empty"
        else:
            unit = (None, city_id(school % CITIES), school_id(school))[step]
            what, request, kind = ("province", "city", "school")[step], _look(token, unit), "look"
        pending.add(task := asyncio.create_task(one(what, request, kind, await people[kind].get())))
        task.add_done_callback(pending.discard)
        number += 1
        await asyncio.sleep(max(0.0, began + number / (2 * LOOKS_A_SECOND) - time.monotonic()))
    await asyncio.gather(*pending)
    for wires in people.values():
        while not wires.empty():
            wires.get_nowait().close()
    return looks


async def _people(port: int) -> asyncio.Queue[Wire]:
    """Eight at a time; who is slow to answer them keeps them from asking more."""
    queue: asyncio.Queue[Wire] = asyncio.Queue()
    for wire in await connect(port, 8):
        queue.put_nowait(wire)
    return queue


# --- open dashboards ---


@dataclass(frozen=True, slots=True)
class Marker:
    """A change of every board: when it was committed, and which figure shows it, by board."""

    at: float
    figures: dict[str, int]


@dataclass(frozen=True, slots=True)
class Wall:
    """The process of open dashboards."""

    process: subprocess.Popen[str]
    opened: dict[str, Any]

    @classmethod
    def open(cls, port: int, watchers: Sequence[Watcher]) -> "Wall":
        """Returns when each has its first board, or was refused."""
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.dashboards_clients", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        asked = [{"path": f"{_PROGRESS}/stream", "token": each.token} for each in watchers]
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        return cls(process, json.loads(process.stdout.readline()))

    def close(self) -> tuple[list[dict[str, Any]], float]:
        """What each showed, and the seconds that the clients themselves computed."""
        told, _ = self.process.communicate()
        *boards, last = (json.loads(line) for line in told.splitlines())
        return boards, last["cpu"]


def delays(watchers: Sequence[Watcher], seen: Sequence[dict[str, Any]], marker: Marker) -> list[float | None]:
    """Seconds until each board showed the change; None where it never did."""
    found: list[float | None] = []
    for watcher, board in zip(watchers, seen, strict=True):
        figure = marker.figures[watcher.unit()]
        shown = (at for at, present in board["events"] if present >= figure)
        at = next(shown, None)
        found.append(None if at is None else at - marker.at)
    return found


@dataclass(slots=True)
class Rounds:
    """Changes of all boards one after the other, and what the server computed meanwhile."""

    markers: list[Marker] = field(default_factory=list)
    seconds: float = 0.0
    cpu: float = 0.0
    stolen: float = 0.0

    def row(self, when: str, watchers: Sequence[Watcher], seen: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Delays over all boards and rounds."""
        late = [each for marker in self.markers for each in delays(watchers, seen, marker)]
        told = [each for each in late if each is not None]
        began = self.markers[0].at
        pushed = sum(began <= at < began + self.seconds for board in seen for at, _ in board["events"])
        return {
            "when": when,
            "changes": len(self.markers),
            "never told": len(late) - len(told),
            "p50 ms": percentile(told, 0.5),
            "p95 ms": percentile(told, 0.95),
            "worst ms": percentile(told, 1.0),
            "pushes": pushed,
            "server cpu": round(self.cpu / self.seconds, 2),
            "cpu µs a push": round(1e6 * self.cpu / max(pushed, 1)),
            "stolen": self.stolen,
        }


async def rounds(bench: Bench, verdicts: Verdicts, count: int) -> Rounds:
    """Each board changes in each."""
    done = Rounds()
    began, cpu, stolen = time.monotonic(), bench.cpu(), Stolen()
    for _ in range(count):
        at = await asyncio.to_thread(verdicts.find, range(SCHOOLS), 1)
        done.markers.append(Marker(at, verdicts.written.so_far()))
        await asyncio.sleep(ROUND_SECONDS)
    done.seconds, done.cpu = time.monotonic() - began, bench.cpu() - cpu
    done.stolen = stolen.share()
    return done


# --- the whole ---


async def _first_look(bench: Bench, token: str) -> float:
    """Seconds of the first look at a roll call in a process, which reads all of it."""
    (wire,) = await connect(bench.port, 1)
    began = time.monotonic()
    status = await wire.send(_look(token, None))
    wire.close()
    assert status == 200, status
    return time.monotonic() - began


async def _drilled(bench: Bench, token: str, load: Load, verdicts: Verdicts, seconds: float) -> list[Row]:
    """Drill-downs with an idle server, and at half load."""
    empty = load.requests(256, EMPTY)
    cpu, stolen, first = bench.cpu(), Stolen(), await _first_look(bench, token)
    shares = {"server cpu": round(bench.cpu() - cpu, 2), "stolen": stolen.share()}
    rows = [Looks({"first look": [first]}).rows("idle", **shares)[0]]
    ends, cpu, stolen = time.monotonic() + seconds, bench.cpu(), Stolen()
    idle = await drill(bench, token, empty, lambda: time.monotonic() > ends)
    shares = {"server cpu": round((bench.cpu() - cpu) / seconds, 2), "stolen": stolen.share()}
    rows += idle.rows("idle", **shares)
    requests = load.requests(int(load.rate * (UNDER_WAY + seconds)))
    cpu, database = bench.cpu(), bench.database_cpu()
    at_half = asyncio.create_task(load.run(requests))
    with verdicts.going_on(load.rate):
        await asyncio.sleep(UNDER_WAY)
        stolen = Stolen()
        busy = await drill(bench, token, empty, at_half.done)
    run = await at_half
    shares = {
        "server cpu": round((bench.cpu() - cpu) / run.seconds, 2),
        "stolen": stolen.share(),
        "database cpu": round((bench.database_cpu() - database) / run.seconds, 2),
    }
    return [{**row, "database cpu": "-"} for row in rows] + busy.rows(f"half load, {_told(run)}", **shares)


def _told(run: Run) -> str:
    return f"{run.rate:.0f}/s, p99 {run.percentile(0.99):.0f} ms, {dict(run.statuses)}"


async def _watched(
    bench: Bench, watchers: Sequence[Watcher], load: Load, verdicts: Verdicts, seconds: float
) -> tuple[list[Row], list[Row]]:
    """The dashboards, and drill-downs while they are open, at half load."""
    before, cpu, stolen = memory_of(bench.process.pid), bench.cpu(), Stolen()
    wall = await asyncio.to_thread(Wall.open, bench.port, watchers)
    opened, firsts = wall.opened["seconds"], wall.opened["first_boards"]
    opening = {
        "when": f"opened in {opened:.1f} s, refused {wall.opened['refused'] or 0}",
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
    quiet = await rounds(bench, verdicts, ROUNDS)
    count = max(1, int(seconds / ROUND_SECONDS))
    requests, empty = (
        load.requests(int(load.rate * (UNDER_WAY + count * ROUND_SECONDS))),
        load.requests(64, EMPTY),
    )
    at_half = asyncio.create_task(load.run(requests))
    with verdicts.going_on(load.rate):
        await asyncio.sleep(UNDER_WAY)
        looks = asyncio.create_task(drill(bench, watchers[0].token, empty, at_half.done))
        busy = await rounds(bench, verdicts, count)
    run, looked = await at_half, await looks
    await asyncio.sleep(ROUND_SECONDS)  # the last change is on its way to some
    after = memory_of(bench.process.pid)
    seen, client = await asyncio.to_thread(wall.close)
    dropped = sum(board["closed"] for board in seen)
    memory = {
        "memory MB": f"{before:.0f} → {after:.0f}",
        "dropped": dropped,
        "client cpu s": round(client, 1),
    }
    rows = [opening, quiet.row("no check-ins", watchers, seen)]
    rows.append(busy.row(f"half load, {_told(run)}", watchers, seen))
    shares = {
        "server cpu": round(busy.cpu / busy.seconds, 2),
        "stolen": busy.stolen,
        "database cpu": "-",
    }
    return [{**row, **memory} for row in rows], looked.rows(
        f"half load, {len(watchers)} dashboards", **shares
    )


async def _measured(bench: Bench, asked: argparse.Namespace) -> None:
    began = time.monotonic()
    watchers = await asyncio.to_thread(plant, bench.dsn, bench.keys, asked.dashboards)
    load, verdicts = Load(bench), Verdicts(bench)
    accepted = await load.find_capacity()
    print(
        f"planted in {time.monotonic() - began:.0f} s; {accepted:.0f} envelopes a second accepted, half load is"
        f" {load.rate:.0f}; load of the machine {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    looks = await _drilled(bench, watchers[0].token, load, verdicts, asked.seconds)
    boards, looked = await _watched(bench, watchers, load, verdicts, asked.seconds)
    floor = "province → class within 50 ms at the 95th percentile, at half load"
    publish("drill-down", floor, looks + looked)
    publish("dashboards", f"{asked.dashboards} open dashboards of one process, none dropped", boards)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dashboards", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=20.0)
    asked = parser.parse_args()
    raise_open_file_limit()
    uvloop.install()
    with benched(Stack.from_environment(os.environ), STUDENTS, attempts=ATTEMPTS, processes=1) as bench:
        asyncio.run(_measured(bench, asked))


if __name__ == "__main__":
    main()

"""Live progress while a province checks in: how long a drill-down takes, and how late 2,000 open dashboards are told.

    python -m bench.dashboards [--dashboards 2000] [--seconds 20]

One roll call of 25,000 classes in 500 schools, 12,000 of  (`dashboards_world`, built anew in
seconds). One API process serves the check-ins, the looks and the streams; PostgreSQL, the load and, in a process of its
own, the dashboards share the machine with it. "Half load" is half of the envelopes a second that the same server
accepted in this run with nothing else to do.

- `drill-downs`: province → city → school with its classes, twenty looks a second by people who are signed in, with an
  idle server and at half load; beside them the empty address of the same server, which is what the machine can do.
- `dashboards`: each with an account and a connection of its own, of the whole province, of 18 cities, of 500 schools and
  of 500 counselors. Every board changes at once: one more student is found present in each school. The delay is from
  the commit until the board with that figure has arrived.
"""

import argparse
import asyncio
import json
import math
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import redis
import uvloop

from backend.app import STAFF_PREFIX
from backend.local.services import Stack
from backend.roll_call.progress import CHANNEL
from bench.dashboards_world import CITIES, SCHOOLS, Watcher, Written, city_id, plant, school_id
from bench.intake import EMPTY, ENVELOPES, Bench, benched
from bench.intake_load import Run, Wire, closed_loop, connect, open_loop
from bench.intake_school import ROLL_CALL, TERM
from bench.report import publish

STUDENTS, ATTEMPTS = 4_000, 3
CAPACITY = 1_500
"""Envelopes by which the capacity is measured."""
LOOKS_A_SECOND = 20
ROUNDS, ROUND_SECONDS = 5, 4.0
FOLD_SECONDS = 2.0
_PROGRESS = f"{STAFF_PREFIX}/v1/roll-calls/{ROLL_CALL}/progress"


def percentile(seconds: Sequence[float], share: float) -> float:
    """Milliseconds."""
    ranked = sorted(seconds)
    return round(1000 * ranked[min(len(ranked) - 1, math.ceil(share * len(ranked)) - 1)], 1)


def memory_of(pid: int) -> float:
    """Megabytes that a process holds."""
    line = next(each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each[:6] == "VmRSS:")
    return round(int(line.split()[1]) / 1024, 1)


# --- the load ---


class Load:
    """Envelopes at half of what the server accepts; each by another challenge."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._tokens = bench.tokens(bench.handsets)
        self._next = 0
        self.rate = 0.0

    def requests(self, count: int, path: str = ENVELOPES) -> list[bytes]:
        """Freshly signed."""
        signed = []
        for each in self._drawn(count) if path == ENVELOPES else ((n, 0) for n in range(count)):
            number, attempt = each
            handset = self._bench.handsets[number]
            signed.append(self._bench.request(handset, attempt, path, self._tokens[number]))
        return signed

    def _drawn(self, count: int) -> Iterator[tuple[int, int]]:
        """The next students, and which of their challenges it is."""
        assert self._next + count <= STUDENTS * ATTEMPTS, "each challenge has been used"
        for n in range(self._next, self._next + count):
            yield n % STUDENTS, n // STUDENTS
        self._next += count

    async def find_capacity(self) -> float:
        """Envelopes a second with nothing else to do; half of it is the load."""
        await closed_loop(self._bench.port, self.requests(CAPACITY // 4), 64)
        run = await closed_loop(self._bench.port, self.requests(CAPACITY), 64)
        self.rate = run.rate / 2
        return run.rate

    async def run(self, requests: Sequence[bytes]) -> Run:
        """At half load until they are used up."""
        return await open_loop(self._bench.port, requests, self.rate, 256)


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


# --- outcomes ---

_FOUND = """
INSERT INTO outcome_entry (roll_call_id, student_id, seq, school_id, term_code, class_id, outcome, reason, method,
 policy_version, trace, at)
SELECT %(roll_call)s, gen_random_uuid(), 1, c.school_id, c.term_code, c.class_id, 'present', 'verified', 'face', '', '{}', now()
FROM (SELECT DISTINCT ON (school_id) * FROM roll_call_class
 WHERE term_code = %(term)s AND roll_call_id = %(roll_call)s AND school_id = ANY(%(schools)s)
 ORDER BY school_id, class_id) c, generate_series(1, %(students)s)
"""


class Verdicts:
    """What workers would write: outcomes by the statement, the nudge after it, and the folding every two seconds."""

    def __init__(self, bench: Bench) -> None:
        self.written = Written()
        self._server = psycopg.connect(bench.dsn, autocommit=True)
        self._redis = redis.Redis.from_url(bench.settings.redis_url)
        self._turn = threading.Lock()

    def find(self, schools: Sequence[int], students: int) -> float:
        """So many students of the first class of each school are present; the instant of the commit."""
        with self._turn:
            self._server.execute(
                _FOUND,
                {
                    "roll_call": ROLL_CALL,
                    "term": TERM,
                    "students": students,
                    "schools": [school_id(school) for school in schools],
                },
            )
            at = time.monotonic()
            for school in schools:
                for _ in range(students):
                    self.written.add(school, first_class=True)
        self._redis.publish(CHANNEL + str(ROLL_CALL), b"1")
        return at

    @contextmanager
    def going_on(self, rate: float) -> Iterator[None]:
        """Batches of sixteen, each of one school, at a rate of students a second."""
        over = threading.Event()

        def work() -> None:
            batch, folded = 0, time.monotonic()
            while not over.wait(16 / rate):
                self.find([batch * 11 % SCHOOLS], 16)
                batch += 1
                if time.monotonic() - folded > FOLD_SECONDS:
                    self.fold()
                    folded = time.monotonic()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def fold(self) -> None:
        """As the job does."""
        with self._turn:
            self._server.execute("SELECT door.fold_outcomes()")


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
            [sys.executable, "-m", "bench.dashboards_watch", str(port)],
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
            "server cpu, share": round(self.cpu / self.seconds, 2),
            "cpu µs a push": round(1e6 * self.cpu / max(pushed, 1)),
        }


async def rounds(bench: Bench, verdicts: Verdicts, count: int) -> Rounds:
    """Each board changes in each."""
    done = Rounds()
    began, cpu = time.monotonic(), bench.cpu()
    for _ in range(count):
        at = await asyncio.to_thread(verdicts.find, range(SCHOOLS), 1)
        done.markers.append(Marker(at, verdicts.written.so_far()))
        await asyncio.sleep(ROUND_SECONDS)
    done.seconds, done.cpu = time.monotonic() - began, bench.cpu() - cpu
    return done


# --- the whole ---


async def _measured(
    bench: Bench, asked: argparse.Namespace
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    began = time.monotonic()
    watchers = await asyncio.to_thread(plant, bench.dsn, bench.keys, asked.dashboards)
    print(f"planted in {time.monotonic() - began:.1f} s", flush=True)
    load, verdicts = Load(bench), Verdicts(bench)
    accepted = await load.find_capacity()
    print(f"{accepted:.0f} envelopes a second; half load is {load.rate:.0f}", flush=True)
    token = watchers[0].token
    empty = load.requests(256, EMPTY)
    ends = time.monotonic() + asked.seconds
    idle = await drill(bench, token, empty, lambda: time.monotonic() > ends)
    requests = load.requests(int(load.rate * asked.seconds))
    at_half = asyncio.create_task(load.run(requests))
    with verdicts.going_on(load.rate):
        busy = await drill(bench, token, empty, at_half.done)
    taken_in = await at_half
    drilled = [
        *idle.rows("idle", intake="-"),
        *busy.rows("half load", intake=_told(taken_in)),
    ]
    publish(
        "progress-drill-down", "province → class within 50 ms at the 95th percentile, at half load", drilled
    )
    return drilled, await _dashboards(bench, watchers, load, verdicts, asked.seconds)


def _told(run: Run) -> str:
    return f"{run.rate:.0f}/s, p99 {run.percentile(0.99):.0f} ms, {dict(run.statuses)}"


async def _dashboards(
    bench: Bench, watchers: Sequence[Watcher], load: Load, verdicts: Verdicts, seconds: float
) -> list[dict[str, Any]]:
    before, cpu = memory_of(bench.process.pid), bench.cpu()
    verdicts.find(range(SCHOOLS), 1)
    wall = await asyncio.to_thread(Wall.open, bench.port, watchers)
    cpu, firsts = bench.cpu() - cpu, wall.opened["first_boards"]
    print(
        f"all open in {wall.opened['seconds']:.1f} s (server {cpu:.1f} s), first board p50 {percentile(firsts, 0.5)} ms, p95"
        f" {percentile(firsts, 0.95)} ms; refused {wall.opened['refused']}; memory {before} MB, then"
        f" {memory_of(bench.process.pid)} MB",
        flush=True,
    )
    quiet = await rounds(bench, verdicts, ROUNDS)
    count = max(1, int(seconds / ROUND_SECONDS))
    requests = load.requests(int(load.rate * count * ROUND_SECONDS))
    at_half = asyncio.create_task(load.run(requests))
    empty = load.requests(64, EMPTY)
    with verdicts.going_on(load.rate):
        looks = asyncio.create_task(drill(bench, watchers[0].token, empty, at_half.done))
        busy = await rounds(bench, verdicts, count)
    taken_in, looked = await at_half, await looks
    memory = memory_of(bench.process.pid)
    seen, client = await asyncio.to_thread(wall.close)
    rows = [
        quiet.row("no check-ins", watchers, seen),
        busy.row(f"half load: {_told(taken_in)}", watchers, seen),
    ]
    print(f"memory {memory}; closed {sum(each['closed'] for each in seen)}; client cpu {client}", flush=True)
    publish("dashboards", "2,000 open dashboards of one process, none dropped", rows)
    publish("progress-with-dashboards", "-", looked.rows("half load, dashboards open"))
    return rows


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dashboards", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=20.0)
    asked = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.install()
    began = time.monotonic()
    with benched(Stack.from_environment(os.environ), STUDENTS, attempts=ATTEMPTS) as bench:
        print(f"built in {time.monotonic() - began:.1f} s", flush=True)
        asyncio.run(_measured(bench, asked))


if __name__ == "__main__":
    main()

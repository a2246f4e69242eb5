"""One run: roll calls one after another under faults drawn by a seed; then everything heals, drains, and is judged.

make faults ARGS="--seed 7 --kills 200 --minutes 20"
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg

from tests.faults.checker import Evidence, judge, unfinished
from tests.faults.clients import Official, Setting, Student
from tests.faults.crash_points import FEW, Gauntlet
from tests.faults.ground import Ground
from tests.faults.history import History
from tests.faults.house import House
from tests.faults.nemesis import Nemesis
from tests.faults.planting import World
from tests.faults.records import Records, frozen_digest, rows
from tests.faults.verdict import Plan, Verdict

WINDOW = timedelta(minutes=60)
OPENS_AFTER = timedelta(seconds=20)
FEW_STUDENTS = 8
"""Who take part in a small run; the others of the school do not come."""
PAST_FRAMES, PAST_PATIENCE = 130.0, 300.0
"""Seconds after the close: no frame may follow any more; the settlement waits for nobody any more."""


class Play:
    """The driver: it launches, moves the clock, lets the clients take part and the nemesis strike."""

    def __init__(self, ground: Ground, plan: Plan) -> None:
        self.ground, self.plan = ground, plan
        self.random = random.Random(plan.seed)
        self.offset = 0.0
        self.history = History(ground.folder / "history.jsonl", self.clock)
        self.house = House(ground, self.history.add)
        self.house.restart_delay = lambda: self.random.uniform(0.1, 1.0)
        self.nemesis = Nemesis(
            self.house,
            random.Random(plan.seed + 1),
            long_stops=plan.long_stops,
            at_any_commit=not plan.small,
        )
        self.gauntlet = Gauntlet(FEW if plan.small else (), self.house, self.nemesis)
        self.world = World.read(ground.folder / "world.json")
        self.frozen: dict[str, str] = {}
        self.roll_calls: list[str] = []
        self.students: dict[str, Student] = {}
        self.officials: dict[str, Official] = {}
        self._gate = asyncio.Semaphore(plan.clients)
        self._began = time.monotonic()

    def clock(self) -> float:
        return time.time() + self.offset

    def advance(self, seconds: float, *, away: bool = False) -> None:
        """Move the house's clock, as `dianming clock advance` does. The service marks the minutes in which it was there;
        those that are skipped get their marks, unless it was `away`.
        """
        if not away:
            marks = (
                "INSERT INTO service_pulse SELECT generate_series(date_trunc('minute', to_timestamp(%s)),"
                " to_timestamp(%s), interval '1 minute') ON CONFLICT DO NOTHING RETURNING 1"
            )
            for _ in range(30):
                if seconds < 60 or self.ask(marks, self.clock(), self.clock() + seconds):
                    break
                time.sleep(0.2)  # the database is down for a moment
        self.offset += seconds
        fresh = self.house.clock_file.with_suffix(".new")
        fresh.write_text(str(self.offset))
        fresh.replace(self.house.clock_file)
        self.history.add("driver", "note", "clock", seconds=round(seconds, 1))

    def ask(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        """A question to the database past all relays; nothing while it is down."""
        try:
            with psycopg.connect(self.ground.superuser_dsn, autocommit=True, connect_timeout=5) as connection:
                return rows(connection, statement, *parameters)
        except psycopg.Error:
            return []

    async def until(self, what: str, question: str, *parameters: Any, seconds: float = 30.0) -> bool:
        """Ask the database again until it answers with a row."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if await asyncio.to_thread(self.ask, question, *parameters):
                return True
            await asyncio.sleep(0.2)
        self.history.add("driver", "note", "waited in vain", what=what)
        return False

    # --- the run ---

    async def run(self) -> Verdict:
        """From the opening of the house to the judgement."""
        try:
            await self.house.open(workers=1 if self.plan.small else 2)
            self._people()
            await asyncio.gather(*(each.get("sign-in", "/v1/me") for each in self.officials.values()))
            await self.play()
            await self._heal()
            await self._drain()
            return await self.judged()
        finally:
            await asyncio.gather(
                *(each.close() for each in self.students.values()),
                *(each.close() for each in self.officials.values()),
            )
            await self.house.close()

    async def play(self) -> None:
        """Rounds while the nemesis strikes, until it struck often enough."""
        self._stand()
        striking = asyncio.create_task(self._strike())
        try:
            while not self._enough():
                await self._round()
                self._tell()
        finally:
            striking.cancel()
            with suppress(asyncio.CancelledError):
                await striking

    def _stand(self) -> None:
        """The crash points of this run are armed, if it has any."""
        for process in self.house.processes.values():
            if process.relay is not None:
                process.relay.trap = self.gauntlet if self.gauntlet.commits else None

    def _enough(self) -> bool:
        if not self.roll_calls:
            return False
        return bool(
            self.nemesis.kills >= self.plan.kills or time.monotonic() - self._began > self.plan.seconds
        )

    def _tell(self) -> None:
        line = f"{len(self.roll_calls)} roll calls, {self.nemesis.kills} kills"
        print(f"[{time.monotonic() - self._began:5.0f} s] {line}", flush=True)

    def _people(self) -> None:
        setting = Setting(
            self.house.url,
            f"http://127.0.0.1:{self.house.gateway_port}",
            self.history,
            self.clock,
            self.random,
        )
        self.students = {each.id: Student(setting, each) for each in self.world.students}
        self.officials = {each.account_id: Official(setting, each) for each in self.world.staff}

    def _official(self, role: str, school_id: str | None = None) -> Official:
        fitting = [
            each for each in self.world.of_role(role) if school_id is None or each.unit_id == school_id
        ]
        return self.officials[self.random.choice(fitting).account_id]

    async def _strike(self) -> None:
        while True:
            await asyncio.sleep(self.nemesis.random.expovariate(1 / self.plan.pause))
            await self.nemesis.strike()

    # --- one round ---

    async def _round(self) -> None:
        """Two roll calls with one window: the city's over two schools, the province's over the third."""
        last = self._last_deadline()
        if last > self.clock():  # a window that was made longer still stands
            self.advance(last + PAST_FRAMES - self.clock())
        *of_city, direct = self.world.schools
        opens = self.clock() + OPENS_AFTER.total_seconds()
        launches = [self._launch(self._official("province"), [direct], opens)]
        if not self.plan.small:
            launches.append(self._launch(self._official("bureau"), of_city, opens))
        found = await asyncio.gather(*launches)
        launched = [each for each in found if each is not None]
        for roll_call in launched:
            step = "SELECT 1 FROM roll_call_step WHERE roll_call_id = %s AND step = 'announced'"
            await self.until("announcement", step, roll_call)
        closes = opens + WINDOW.total_seconds()
        away = (
            not self.plan.small and self.random.random() < 0.1
        )  # then the window makes up for it (reading 8)
        self.advance(closes - self.plan.tail - self.clock(), away=away)
        late = await self._check_ins(launched, closes)
        await self._for_a_while(late)
        self.advance(PAST_FRAMES)
        if self.plan.small:
            return
        if self.random.random() < 0.5:
            for roll_call in launched:
                step = "SELECT 1 FROM roll_call_step WHERE roll_call_id = %s AND step = 'settled'"
                await self.until("settlement", step, roll_call, seconds=8.0)
        elif self.random.random() < 0.3:
            self.advance(
                PAST_PATIENCE - PAST_FRAMES
            )  # what is unjudged by now is left undetermined for a while

    def _last_deadline(self) -> float:
        """When the last of the windows that are not settled yet closes, extensions included."""
        found = self.ask(
            "SELECT extract(epoch FROM max(greatest(r.closes_at, e.until)))::float AS last FROM roll_call r"
            " LEFT JOIN roll_call_extension e ON e.roll_call_id = r.id WHERE NOT EXISTS (SELECT 1 FROM"
            " roll_call_step s WHERE s.roll_call_id = r.id AND s.step IN ('settled', 'voided'))"
        )
        return float(found[0]["last"] or 0.0) if found else 0.0

    async def _launch(self, official: Official, schools: list[str], opens: float) -> str | None:
        title = f"核验{len(self.roll_calls)}-{official.planted.role}-{int(opens)}"
        at = datetime.fromtimestamp(opens, UTC)
        body = {
            "kind": "spot_check",
            "title": title,
            "opens_at": at.isoformat(),
            "closes_at": (at + WINDOW).isoformat(),
            "audience": {"unit_ids": schools},
        }
        answer = await official.post("launch", "/v1/roll-calls", body, ("id",), insist=True, title=title)
        # An unanswered launch that took effect makes its own repetition overlap with it.
        await self.until("launch", "SELECT 1 FROM roll_call WHERE title = %s", title, seconds=2.0)
        there = [row["id"] for row in self.ask("SELECT id::text FROM roll_call WHERE title = %s", title)]
        roll_call: str | None = answer.body["id"] if answer.kind == "ok" else next(iter(there), None)
        if roll_call is not None:
            self.roll_calls.append(roll_call)
            await self._freeze(roll_call)
        return roll_call

    async def _freeze(self, roll_call: str) -> None:
        """What the launch froze, once it can be read."""
        for _ in range(100):
            with suppress(psycopg.Error), psycopg.connect(self.ground.superuser_dsn) as connection:
                self.frozen[roll_call] = frozen_digest(connection, roll_call)
                return
            await asyncio.sleep(0.2)

    async def _check_ins(self, launched: list[str], closes: float) -> list[Awaitable[None]]:
        """The window: students, staff, leave and new phones at once. When most are done the close comes, and with it
        those who are late; returns what still goes on.
        """
        asked = self.ask(
            "SELECT roll_call_id::text AS roll_call, student_id::text AS student FROM obligation"
            " WHERE roll_call_id = ANY(%s::uuid[]) ORDER BY student_id",
            launched,
        )[: FEW_STUDENTS if self.plan.small else None]
        parts = [self._takes_part(self.students[row["student"]], row["roll_call"], closes) for row in asked]
        open_ones = {
            asyncio.ensure_future(each) for each in (*parts, self._office(launched), self._changes())
        }
        few = max(2, len(open_ones) // 6)
        while len(open_ones) > few and self.clock() < closes:
            _, open_ones = await asyncio.wait(
                open_ones, timeout=closes - self.clock(), return_when=asyncio.FIRST_COMPLETED
            )
        if self.clock() < closes:
            self.advance(closes - self.clock())
        return list(open_ones)

    async def _for_a_while(self, work: Iterable[Awaitable[None]]) -> None:
        """All at once, until everyone is done; nobody holds up the run for more than a minute."""
        tasks = [asyncio.ensure_future(each) for each in work]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=60)
            for task in late:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception):
                    raise outcome

    async def _takes_part(self, student: Student, roll_call: str, closes: float) -> None:
        draw, wait = self.random.random(), self.random.uniform(0, self.plan.rush)
        if draw < 0.06:
            return  # never comes
        if draw < 0.12:
            while self.clock() <= closes:  # noqa: ASYNC110 - comes too late, by a clock that is moved
                await asyncio.sleep(0.1)
        else:
            await asyncio.sleep(wait)
        async with self._gate:
            if draw > 0.96:
                await student.replay()
            await student.check_in(roll_call, honest=draw > 0.18, stays=not 0.18 < draw < 0.24)

    async def _office(self, launched: list[str]) -> None:
        """Staff look on and urge while the window is open."""
        work = []
        for roll_call in launched:
            work.append(self._official("province").get("progress", f"/v1/roll-calls/{roll_call}/progress"))
            for school in self.world.schools:
                urged = self._official(self.random.choice(("registrar", "counselor")), school)
                work.append(urged.post("urge", f"/v1/roll-calls/{roll_call}/urges", {}))
        await asyncio.gather(*work)

    async def _changes(self) -> None:
        """Leave that is decided and withdrawn at once, and a student with another phone."""
        pupils = self.random.sample(sorted(self.students), 3)
        await self._for_a_while(
            [*(self._leave(self.students[each]) for each in pupils[:2]), self._rebind(pupils[2])]
        )

    async def _leave(self, student: Student) -> None:
        leave = await student.ask_leave()
        if leave is None:
            return
        counselors = [
            self.officials[each.account_id]
            for each in self.world.of_role("counselor")
            if student.planted.class_id in each.class_ids
        ]
        body = {"outcome": "approved", "opinion": "同意"}
        path = f"/v1/leave-requests/{leave}/decision"
        decisions = [each.post("leave decision", path, body, insist=True, leave=leave) for each in counselors]
        if self.random.random() < 0.5:
            await asyncio.gather(student.withdraw_leave(leave), *decisions)
        else:
            await asyncio.gather(*decisions)

    async def _rebind(self, student_id: str, *, always: bool = False) -> None:
        if always or self.random.random() < 0.4:
            async with httpx.AsyncClient(
                base_url=self.students[student_id].setting.gateway, trust_env=False, verify=False
            ) as gateway:
                await self.students[student_id].rebind(gateway)

    # --- the end ---

    async def _heal(self) -> None:
        self.history.add("driver", "note", "healed")
        for relay in self.house.relays.values():
            relay.heal()
        self._stand()  # what is left of them may come as the queues drain
        await asyncio.to_thread(self.ground.heal)
        self.house.wake()
        await self.house.answering()
        await self._ask_again()

    async def _ask_again(self) -> None:
        """Whoever never got an answer asks once more with the same nonce: it must be the same receipt, if any."""
        last = {entry.value["nonce"]: entry for entry in self.history.of("envelope", "ok", "fail", "unknown")}
        for entry in last.values():
            student = self.students[entry.who]
            if entry.kind == "unknown" and not student.rebound:
                value = entry.value
                await student.send(
                    value["roll_call"], value["nonce"], value["envelope"], honest=value["honest"]
                )

    async def _drain(self) -> None:
        """Until nothing waits any more, or nothing moves. The clock passes the patience of the settlement; delays of
        retries are cut short.
        """
        if self.random.random() < 0.5:
            self.advance(max(self._last_deadline() - self.clock(), 0.0) + PAST_PATIENCE)
        before: list[str] = []
        deadline = 0.0
        while time.monotonic() < deadline or not before:
            open_ones = self.ask(
                "SELECT id FROM roll_call r WHERE NOT EXISTS (SELECT 1 FROM roll_call_step s"
                " WHERE s.roll_call_id = r.id AND s.step IN ('settled', 'voided'))"
            )
            with psycopg.connect(self.ground.superuser_dsn) as connection:
                waiting = unfinished(connection)
            if not open_ones and not waiting:
                return
            if not waiting and self._last_deadline() + PAST_PATIENCE > self.clock():
                self.advance(self._last_deadline() + PAST_PATIENCE + 1 - self.clock())
            now = [*waiting, f"{len(open_ones)} open"]
            if now != before:  # as long as there is progress, however slow the machine
                before, deadline = now, time.monotonic() + self.plan.drain_seconds
            self._hurry()
            await asyncio.sleep(0.5)

    def _hurry(self) -> None:
        """Retries do not wait, and who missed two beats is dead by now."""
        self.ask(
            "UPDATE procrastinate_jobs SET scheduled_at = NULL"
            " WHERE status = 'todo' AND scheduled_at > now() RETURNING 1"
        )
        self.ask(
            "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'"
            " WHERE last_heartbeat < now() - interval '5 seconds' RETURNING 1"
        )

    async def judged(self) -> Verdict:
        """What the history, the tables and the API say in the end."""
        progress = await self._progress()
        with psycopg.connect(self.ground.superuser_dsn) as connection:
            records = Records.read(connection)
            evidence = Evidence(self.history, records, connection, self.frozen, progress)
            violations = [*judge(evidence), *self.gauntlet.violations()]
        stories = {
            each.who: self.history.story(each.who, set(each.about)) for each in violations[:3] if each.who
        }
        return Verdict(
            self.plan,
            violations,
            self.history.counted(),
            self.nemesis.counted,
            self.nemesis.kills,
            len(self.nemesis.caught),
            self.house.own_ends,
            len(self.roll_calls),
            Counter(f"{each[-1]['outcome']}:{each[-1]['reason']}" for each in records.outcomes.values()),
            time.monotonic() - self._began,
            self.house.behind_nginx,
            walked=list(self.gauntlet.lines()),
            stories=stories,
        )

    async def _progress(self) -> list[dict[str, Any]]:
        """What the province sees of each roll call, from the top down to the classes."""
        province = self._official("province")
        shown = []
        for roll_call in self.roll_calls:
            for unit in (None, self.world.city_id, *self.world.schools):
                suffix = "" if unit is None else f"?unit_id={unit}"
                answer = await province.get("progress", f"/v1/roll-calls/{roll_call}/progress{suffix}")
                if answer.kind == "ok":
                    shown.append({"roll_call": roll_call, "unit": answer.body, "whole": unit is None})
        return shown

"""What any run needs: a house that is opened, healed, drained and judged, clients, a clock, and a way to ask the database."""

import asyncio
import random
import time
from collections import Counter
from typing import Any

import psycopg

from tests.faults.checker import Evidence, judge, unfinished
from tests.faults.clients import Official, Setting, Student
from tests.faults.crash_points import FEW, Gauntlet
from tests.faults.database_records import Records, rows
from tests.faults.deployment import House
from tests.faults.history import History
from tests.faults.nemesis import Nemesis
from tests.faults.services import Ground
from tests.faults.template_cluster import World
from tests.faults.verdict import Plan, Verdict

LEASE, BEATS = 31.0, 4.0
"""House seconds after which what a dead worker was verifying goes to another; seconds after which it seems to be dead."""
PAST_PATIENCE = 300.0
"""Seconds after the close: the settlement waits for nobody any more."""


class Driver:
    """One run. What happens in it is for those who inherit to say, in `play`."""

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
                "INSERT INTO service_heartbeat SELECT generate_series(date_trunc('minute', to_timestamp(%s)),"
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
            with psycopg.connect(
                f"{self.ground.superuser_dsn} options='-c lock_timeout=500'",
                autocommit=True,
                connect_timeout=5,
            ) as connection:
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
        """What happens between the opening of the house and the healing."""
        raise NotImplementedError

    def _stand(self) -> None:
        """The crash points of this run are armed, if it has any."""
        for process in self.house.processes.values():
            if process.relay is not None:
                process.relay.trap = self.gauntlet if self.gauntlet.commits else None

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

    def _last_deadline(self) -> float:
        """When the last of the windows that are not settled yet closes, extensions included."""
        found = self.ask(
            "SELECT extract(epoch FROM max(greatest(r.closes_at, e.until)))::float AS last FROM roll_call r"
            " LEFT JOIN roll_call_extension e ON e.roll_call_id = r.id WHERE NOT EXISTS (SELECT 1 FROM"
            " roll_call_step s WHERE s.roll_call_id = r.id AND s.step IN ('settled', 'voided'))"
        )
        return float(found[0]["last"] or 0.0) if found else 0.0

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
        deadline = moved_at = 0.0
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
                before, moved_at = now, time.monotonic()
                deadline = moved_at + self.plan.drain_seconds
            elif time.monotonic() > moved_at + BEATS and any("leased" in each for each in waiting):
                self.advance(LEASE)  # of a worker that died
                moved_at = time.monotonic()
            await asyncio.to_thread(self._hurry)  # whose lock it waits for may wait for one of our relays
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

"""Roll calls one after another under faults drawn by a seed.

make faults ARGS="--seed 7 --kills 200 --minutes 20"
"""

import asyncio
import time
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import httpx
import psycopg

from tests.faults.clients import Official, Student
from tests.faults.database_records import frozen_digest
from tests.faults.driver import PAST_PATIENCE, Driver

WINDOW = timedelta(minutes=60)
OPENS_AFTER = timedelta(seconds=20)
FEW_STUDENTS = 8
"""Who take part in a small run; the others of the school do not come."""
PAST_FRAMES = 130.0
"""Seconds after the close: no frame may follow any more."""


class Play(Driver):
    """It launches, moves the clock, lets the clients take part and the nemesis strike."""

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

    def _enough(self) -> bool:
        if not self.roll_calls:
            return False
        return bool(
            self.nemesis.kills >= self.plan.kills or time.monotonic() - self._began > self.plan.seconds
        )

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

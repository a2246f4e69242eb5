"""Runs roll calls one after another under random faults, determined by a seed.

make faults ARGS="--seed 7 --kills 200 --minutes 20"
"""

import asyncio
import time
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import httpx
import psycopg

from tests.faults.clients import Official, Student
from tests.faults.database_records import frozen_digest
from tests.faults.driver import SETTLEMENT_TIMEOUT, Driver

WINDOW = timedelta(minutes=60)
OPENS_AFTER = timedelta(seconds=20)
FEW_STUDENTS = 8
"""Number of students that take part in a short run."""
FRAMES_TIMEOUT = 130.0
"""Seconds after the close at which frames are no longer accepted."""


class LongRun(Driver):
    """Launches roll calls, moves the clock, runs the clients and injects faults."""

    label: ClassVar[str] = "long-run"
    """Name of this kind of run in reports."""

    async def play(self) -> None:
        """Run rounds under faults until there were enough kills or the time is over."""
        self._arm_crash_points()
        injecting = asyncio.create_task(self._inject_faults())
        try:
            while not self._enough():
                await self._run_round()
                self._print_progress()
        finally:
            injecting.cancel()
            with suppress(asyncio.CancelledError):
                await injecting

    def _enough(self) -> bool:
        if not self.roll_calls:
            return False
        return bool(
            self.nemesis.kills >= self.plan.kills or time.monotonic() - self._began > self.plan.seconds
        )

    async def _inject_faults(self) -> None:
        while True:
            await asyncio.sleep(self.nemesis.random.expovariate(1 / self.plan.pause))
            await self.nemesis.inject_fault()

    # --- one round ---

    async def _run_round(self) -> None:
        """Run two roll calls with the same window: the city's over two schools, the province's over the third."""
        last = self._last_deadline()
        if last > self.clock():  # an extended window is still open
            self.advance(last + FRAMES_TIMEOUT - self.clock())
        *of_city, direct = self.world.schools
        opens = self.clock() + OPENS_AFTER.total_seconds()
        launches = [self._launch(self._choose_official("province"), [direct], opens)]
        if not self.plan.small:
            launches.append(self._launch(self._choose_official("bureau"), of_city, opens))
        ids = await asyncio.gather(*launches)
        launched = [each for each in ids if each is not None]
        for roll_call in launched:
            step = "SELECT 1 FROM roll_call_step WHERE roll_call_id = %s AND step = 'announced'"
            await self.wait_for_row("announcement", step, roll_call)
        closes = opens + WINDOW.total_seconds()
        outage = not self.plan.small and self.random.random() < 0.1  # then the window is extended (reading 8)
        self.advance(closes - self.plan.tail - self.clock(), outage=outage)
        late = await self._check_ins(launched, closes)
        await self._run_with_timeout(late)
        self.advance(FRAMES_TIMEOUT)
        if self.plan.small:
            return
        if self.random.random() < 0.5:
            for roll_call in launched:
                step = "SELECT 1 FROM roll_call_step WHERE roll_call_id = %s AND step = 'settled'"
                await self.wait_for_row("settlement", step, roll_call, seconds=8.0)
        elif self.random.random() < 0.3:
            self.advance(
                SETTLEMENT_TIMEOUT - FRAMES_TIMEOUT
            )  # open verifications become undetermined for now

    async def _launch(self, official: Official, schools: list[str], opens: float) -> str | None:
        title = f"核验{len(self.roll_calls)}-{official.profile.role}-{int(opens)}"
        at = datetime.fromtimestamp(opens, UTC)
        body = {
            "kind": "spot_check",
            "title": title,
            "opens_at": at.isoformat(),
            "closes_at": (at + WINDOW).isoformat(),
            "audience": {"unit_ids": schools},
        }
        answer = await official.post("launch", "/v1/roll-calls", body, ("id",), insist=True, title=title)
        # If an unanswered launch took effect, its repetition is rejected because the windows overlap.
        await self.wait_for_row("launch", "SELECT 1 FROM roll_call WHERE title = %s", title, seconds=2.0)
        launched_ids = [
            row["id"] for row in self.query("SELECT id::text FROM roll_call WHERE title = %s", title)
        ]
        roll_call: str | None = answer.body["id"] if answer.kind == "ok" else next(iter(launched_ids), None)
        if roll_call is not None:
            self.roll_calls.append(roll_call)
            await self._store_frozen_digest(roll_call)
        return roll_call

    async def _store_frozen_digest(self, roll_call: str) -> None:
        """Store the digest of the rows that the launch froze."""
        for _ in range(100):
            with suppress(psycopg.Error), psycopg.connect(self.services.superuser_dsn) as connection:
                self.frozen[roll_call] = frozen_digest(connection, roll_call)
                return
            await asyncio.sleep(0.2)

    async def _check_ins(self, launched: list[str], closes: float) -> list[Awaitable[None]]:
        """Run students, staff, leave and rebinding concurrently. When most are done, move the clock to the close, when the
        late students start. Return the unfinished tasks.
        """
        obligations = self.query(
            "SELECT roll_call_id::text AS roll_call, student_id::text AS student FROM obligation"
            " WHERE roll_call_id = ANY(%s::uuid[]) ORDER BY student_id",
            launched,
        )[: FEW_STUDENTS if self.plan.small else None]
        parts = [
            self._take_part(self.students[row["student"]], row["roll_call"], closes) for row in obligations
        ]
        open_ones = {
            asyncio.ensure_future(each)
            for each in (*parts, self._use_staff_api(launched), self._change_leave_and_phone())
        }
        few = max(2, len(open_ones) // 6)
        while len(open_ones) > few and self.clock() < closes:
            _, open_ones = await asyncio.wait(
                open_ones, timeout=closes - self.clock(), return_when=asyncio.FIRST_COMPLETED
            )
        if self.clock() < closes:
            self.advance(closes - self.clock())
        return list(open_ones)

    async def _run_with_timeout(self, work: Iterable[Awaitable[None]]) -> None:
        """Run all awaitables concurrently and cancel those that take more than a minute."""
        tasks = [asyncio.ensure_future(each) for each in work]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=60)
            for task in late:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception):
                    raise outcome

    async def _take_part(self, student: Student, roll_call: str, closes: float) -> None:
        draw, wait = self.random.random(), self.random.uniform(0, self.plan.rush)
        if draw < 0.06:
            return  # does not take part
        if draw < 0.12:
            while self.clock() <= closes:  # noqa: ASYNC110 - waits for a clock that is moved
                await asyncio.sleep(0.1)
        else:
            await asyncio.sleep(wait)
        async with self._client_limit:
            if draw > 0.96:
                await student.replay()
            await student.check_in(roll_call, honest=draw > 0.18, stays=not 0.18 < draw < 0.24)

    async def _use_staff_api(self, launched: list[str]) -> None:
        """Let staff read the progress and urge students while the window is open."""
        work = []
        for roll_call in launched:
            work.append(
                self._choose_official("province").get("progress", f"/v1/roll-calls/{roll_call}/progress")
            )
            for school in self.world.schools:
                urged = self._choose_official(self.random.choice(("registrar", "counselor")), school)
                work.append(urged.post("urge", f"/v1/roll-calls/{roll_call}/urges", {}))
        await asyncio.gather(*work)

    async def _change_leave_and_phone(self) -> None:
        """Decide and withdraw leave concurrently, and rebind a student's phone."""
        students = self.random.sample(sorted(self.students), 3)
        await self._run_with_timeout(
            [*(self._leave(self.students[each]) for each in students[:2]), self._rebind(students[2])]
        )

    async def _leave(self, student: Student) -> None:
        leave = await student.ask_leave()
        if leave is None:
            return
        counselors = [
            self.officials[each.account_id]
            for each in self.world.staff_with_role("counselor")
            if student.profile.class_id in each.class_ids
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
                base_url=self.students[student_id].context.gateway, trust_env=False, verify=False
            ) as gateway:
                student = self.students[student_id]
                registrar = self._choose_official("registrar", student.profile.school_id)
                await student.rebind(gateway, registrar)

"""The walk: every crash point of `crash_points` is passed once, by a flow that goes on until it has died at each."""

import asyncio
import time
from contextlib import suppress
from typing import Any

from tests.faults.clients import Official, Student
from tests.faults.crash_points import COMMITS, Gauntlet
from tests.faults.driver import LEASE, PAST_PATIENCE
from tests.faults.long_run import OPENS_AFTER, PAST_FRAMES, WINDOW, Play
from tests.faults.services import Ground
from tests.faults.verdict import Plan

AWAY = 1500.0
"""House seconds without the service."""
SETTLED = "SELECT 1 FROM roll_call_step WHERE roll_call_id = %s AND step = 'settled'"
REASON = {"text": "当天在校实训，有考勤记录为证。"}


class Walk(Play):
    """Roll calls with all that may happen around one, while the gauntlet stands."""

    def __init__(self, ground: Ground, plan: Plan) -> None:
        super().__init__(ground, plan)
        self.house.restart_delay = lambda: 0.1
        self.gauntlet = Gauntlet(COMMITS, self.house, self.nemesis)

    async def play(self) -> None:
        """Rounds until no point is left, or as many as the plan's time allows."""
        self._stand()
        hurrying = asyncio.create_task(self._keep_hurrying())
        try:
            while self.gauntlet.left and time.monotonic() - self._began < self.plan.seconds:
                await self._walk_once()
                self._tell()
        finally:
            hurrying.cancel()
            with suppress(asyncio.CancelledError):
                await hurrying

    async def _keep_hurrying(self) -> None:
        """What a killed worker had in hand is given to others as soon as it missed two beats, and retries do not wait."""
        while True:
            await asyncio.sleep(1.0)
            await asyncio.to_thread(self._hurry)

    # --- one round ---

    async def _walk_once(self) -> None:
        """One roll call from the launch to the appeals against it, and one that is voided."""
        last = self._last_deadline()
        if last > self.clock():  # of a roll call that nobody could void while everything died
            self.advance(last + PAST_FRAMES - self.clock())
        school = self.world.schools[0]
        roll_call, other = await asyncio.gather(
            self._launched("bureau", school), self._launched("province", self.world.schools[-1])
        )
        if roll_call is None or other is None:
            return
        closes = self.clock() + OPENS_AFTER.total_seconds() + WINDOW.total_seconds()
        pupils = [self.students[each.id] for each in self.world.students if each.school_id == school]
        self.random.shuffle(pupils)
        self.advance(OPENS_AFTER.total_seconds() + 5)
        await asyncio.gather(
            *(each.check_in(roll_call) for each in pupils[:5]),
            pupils[5].check_in(roll_call, stays=False),
            pupils[6].check_in(roll_call, honest=False),
            self._attested(pupils[7], roll_call),
            self._void(other),
            self._office([roll_call]),
            self._leave_of(pupils[8], withdrawn=False),
            self._leave_of(pupils[9], withdrawn=True),
            self._rebind(pupils[10].planted.id, always=True),
        )
        await self._judged(roll_call)
        self.advance(closes - self.clock() - AWAY - 60)
        self.advance(AWAY, away=True)  # the window makes up for it
        extended = "SELECT 1 FROM roll_call_extension WHERE roll_call_id = %s"
        await self.until("extension", extended, roll_call, seconds=20.0)
        await self._close(roll_call, pupils[11])
        await self._afterwards(roll_call, pupils)

    async def _launched(self, role: str, school: str) -> str | None:
        roll_call = await self._launch(
            self._official(role), [school], self.clock() + OPENS_AFTER.total_seconds()
        )
        if roll_call is None:
            return None
        step = "SELECT 1 FROM roll_call_step WHERE roll_call_id = %s AND step = 'announced'"
        await self.until("announcement", step, roll_call)
        return roll_call

    async def _void(self, roll_call: str) -> None:
        path = f"/v1/roll-calls/{roll_call}/voiding"
        await self._official("province").post(
            "voiding", path, {"reason": "全市停电，无法核验"}, insist=True, roll_call=roll_call
        )

    async def _attested(self, student: Student, roll_call: str) -> None:
        """A counselor sees the student on the site; a sampled one is looked at by the province."""
        planted = student.planted
        registrar = self._official("registrar", planted.school_id)
        counselor = self._counselor_of(student)
        coded = await registrar.post(
            "card", f"/v1/students/{planted.id}/card-code", {}, ("code",), insist=True
        )
        sites = await counselor.get("sites", f"/v1/roll-calls/{roll_call}/sites")
        if coded.kind != "ok" or sites.kind != "ok":
            return
        body = {
            "student_id": planted.id,
            "code": coded.body["code"],
            "site_version_id": sites.body["items"][0]["site_version_id"],
            "reason": "手机损坏",
        }
        path = f"/v1/roll-calls/{roll_call}/attestations"
        await counselor.post("attestation", path, body, insist=True, student=planted.id)
        review = {"upheld": True, "note": "已视频核对本人在校"}
        path = f"{path}/{planted.id}/review"
        await self._official("province").post("review", path, review, insist=True, student=planted.id)

    def _counselor_of(self, student: Student) -> Official:
        fitting = (
            each for each in self.world.of_role("counselor") if student.planted.class_id in each.class_ids
        )
        return self.officials[next(fitting).account_id]

    async def _leave_of(self, student: Student, *, withdrawn: bool) -> None:
        leave = None
        for _ in range(5):
            leave = leave or await student.ask_leave()
        if leave is None:
            return
        if withdrawn:
            await student.withdraw_leave(leave)
            return
        body = {"outcome": "approved", "opinion": "同意"}
        path = f"/v1/leave-requests/{leave}/decision"
        await self._counselor_of(student).post("leave decision", path, body, insist=True, leave=leave)

    async def _judged(self, roll_call: str, seconds: float = 60.0) -> None:
        """Until every complete burst has its verdict; a dead worker's lease runs out by the clock."""
        waiting = "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM verification_task WHERE roll_call_id = %s AND state <> 'dead')"
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if await self.until("verdicts", waiting, roll_call, seconds=4.0):
                return
            self.advance(LEASE)

    async def _close(self, roll_call: str, late: Student) -> None:
        """The settlement, with an envelope that was here in time and is stored only after it."""
        self.advance(self._last_deadline() - self.clock() - 5)
        sending = await self._held_up(late, roll_call)
        self.advance(PAST_FRAMES + 5)
        await self.until("settlement", SETTLED, roll_call, seconds=25.0)
        for relay in self._databases_of("api"):
            relay.heal()
        if sending is not None:
            await sending
        await self._judged(roll_call, 10.0)
        self.advance(PAST_PATIENCE)
        await self.until("settlement", SETTLED, roll_call, seconds=25.0)

    def _databases_of(self, kind: str) -> list[Any]:
        return [p.relay for name, p in self.house.processes.items() if name.startswith(kind) and p.relay]

    async def _held_up(self, student: Student, roll_call: str) -> "asyncio.Task[Any] | None":
        made = await student.signed(roll_call)
        if made is None:
            return None
        nonce, compact, _ = made
        for relay in self._databases_of("api"):
            relay.hold()
        sending = asyncio.create_task(student.send(roll_call, nonce, compact, honest=True))
        await asyncio.sleep(0.5)  # it is here before the clock is moved
        return sending

    async def _afterwards(self, roll_call: str, pupils: list[Student]) -> None:
        """Appeals and determinations of what the settlement says, and what follows from both."""
        await asyncio.gather(
            self._appealed(roll_call, pupils[12], upheld=True),
            self._appealed(roll_call, pupils[13], upheld=False),
            self._determined(roll_call, pupils[5]),
        )
        for _ in range(30):
            waiting = await asyncio.to_thread(self._waiting)
            if not waiting:
                return
            await asyncio.sleep(1.0)
        self.history.add("driver", "note", "waited in vain", what=str(waiting))

    def _waiting(self) -> list[dict[str, Any]]:
        return self.ask(
            "SELECT task_name, status::text FROM procrastinate_jobs WHERE NOT args ? 'timestamp'"
            " AND status IN ('todo', 'doing')"
        )

    async def _appealed(self, roll_call: str, student: Student, *, upheld: bool) -> None:
        body = {"against": {"kind": "check", "roll_call_id": roll_call}, "grounds": REASON}
        await student.posted("appeal", "/v1/me/appeals", body, roll_call=roll_call)
        asked = "SELECT id::text FROM appeal_filed WHERE student_id = %s AND target_id = %s"
        there = self.ask(asked, student.planted.id, roll_call)
        if not there:
            return
        if not upheld:
            path = f"/v1/me/appeals/{there[0]['id']}/withdrawal"
            await student.posted("appeal withdrawal", path, {}, roll_call=roll_call)
            return
        decision = {"upheld": True, "reasons": "材料已核实", "finding": "present"}
        path = f"/v1/appeals/{there[0]['id']}/decision"
        await self._official("province").post("appeal decision", path, decision, insist=True)

    async def _determined(self, roll_call: str, student: Student) -> None:
        body = {
            "student_id": student.planted.id,
            "outcome": "present",
            "reason": "经与本人视频核对，确认在校",
        }
        path = f"/v1/roll-calls/{roll_call}/determinations"
        await self._official("bureau").post("determination", path, body, insist=True)

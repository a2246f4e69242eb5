"""Repeats complete roll calls until a process was killed once at each crash point of `crash_points`."""

import asyncio
import time
from contextlib import suppress
from typing import Any

from tests.faults.clients import Official, Student
from tests.faults.crash_points import COMMITS, CrashPointTrap
from tests.faults.driver import LEASE_SECONDS, SETTLEMENT_TIMEOUT
from tests.faults.long_run import FRAMES_TIMEOUT, OPENS_AFTER, WINDOW, LongRun
from tests.faults.services import RunServices
from tests.faults.verdict import Plan
from tests.support.roll_call.attester import attester_position

OUTAGE_SECONDS = 1500.0
"""Seconds of simulated outage, by the deployment's clock."""
SETTLED = "SELECT 1 FROM roll_call_step WHERE roll_call_id = %s AND step = 'settled'"
REASON = {"text": "当天在校实训，有考勤记录为证。"}


class CrashPointRun(LongRun):
    """Roll calls with all related actions, while the crash points are armed."""

    label = "crash-points"

    def __init__(self, services: RunServices, plan: Plan) -> None:
        super().__init__(services, plan)
        self.deployment.restart_delay = lambda: 0.1
        self.crash_points = CrashPointTrap(COMMITS, self.deployment, self.nemesis)

    async def play(self) -> None:
        """Run rounds until all crash points were triggered or the time is over."""
        self._arm_crash_points()
        expediting = asyncio.create_task(self._keep_expediting())
        try:
            while self.crash_points.remaining and time.monotonic() - self._began < self.plan.seconds:
                await self._run_round()
                self._print_progress()
        finally:
            expediting.cancel()
            with suppress(asyncio.CancelledError):
                await expediting

    async def _keep_expediting(self) -> None:
        """Once a second, make retries due and reassign the jobs of dead workers."""
        while True:
            await asyncio.sleep(1.0)
            await asyncio.to_thread(self._expedite_jobs)

    # --- one round ---

    async def _run_round(self) -> None:
        """Run one roll call from launch to appeals, and another one that is voided."""
        last = self._last_deadline()
        if last > self.clock():  # an earlier roll call could not be voided
            self.advance(last + FRAMES_TIMEOUT - self.clock())
        school = self.world.schools[0]
        roll_call, other = await asyncio.gather(
            self._launch_and_wait("bureau", school), self._launch_and_wait("province", self.world.schools[-1])
        )
        if roll_call is None or other is None:
            return
        closes = self.clock() + OPENS_AFTER.total_seconds() + WINDOW.total_seconds()
        students = [self.students[each.id] for each in self.world.students if each.school_id == school]
        self.random.shuffle(students)
        self.advance(OPENS_AFTER.total_seconds() + 5)
        await asyncio.gather(
            *(each.check_in(roll_call) for each in students[:5]),
            students[5].check_in(roll_call, stays=False),
            students[6].check_in(roll_call, honest=False),
            self._attest(students[7], roll_call),
            self._void(other),
            self._use_staff_api([roll_call]),
            self._request_leave(students[8], withdrawn=False),
            self._request_leave(students[9], withdrawn=True),
            self._rebind(students[10].profile.id, always=True),
        )
        await self._wait_for_verdicts(roll_call)
        self.advance(closes - self.clock() - OUTAGE_SECONDS - 60)
        self.advance(OUTAGE_SECONDS, outage=True)  # the window is extended by the outage
        extended = "SELECT 1 FROM roll_call_extension WHERE roll_call_id = %s"
        await self.wait_for_row("extension", extended, roll_call, seconds=20.0)
        await self._settle_with_late_envelope(roll_call, students[11])
        await self._appeal_and_determine(roll_call, students)

    async def _launch_and_wait(self, role: str, school: str) -> str | None:
        roll_call = await self._launch(
            self._choose_official(role), [school], self.clock() + OPENS_AFTER.total_seconds()
        )
        if roll_call is None:
            return None
        step = "SELECT 1 FROM roll_call_step WHERE roll_call_id = %s AND step = 'announced'"
        await self.wait_for_row("announcement", step, roll_call)
        return roll_call

    async def _void(self, roll_call: str) -> None:
        path = f"/v1/roll-calls/{roll_call}/voiding"
        await self._choose_official("province").post(
            "voiding", path, {"reason": "全市停电，无法核验"}, insist=True, roll_call=roll_call
        )

    async def _attest(self, student: Student, roll_call: str) -> None:
        """Attest a student as the counselor, and review the attestation as the province."""
        profile = student.profile
        registrar = self._choose_official("registrar", profile.school_id)
        counselor = self._counselor_of(student)
        coded = await registrar.post(
            "card", f"/v1/students/{profile.id}/card-code", {}, ("code",), insist=True
        )
        sites = await counselor.get("sites", f"/v1/roll-calls/{roll_call}/sites")
        if coded.kind != "ok" or sites.kind != "ok":
            return
        body = {
            "student_id": profile.id,
            "code": coded.body["code"],
            "site_version_id": sites.body["items"][0]["site_version_id"],
            "reason": "手机损坏",
            "position": attester_position(),
        }
        path = f"/v1/roll-calls/{roll_call}/attestations"
        await counselor.post("attestation", path, body, insist=True, student=profile.id)
        review = {"upheld": True, "note": "已视频核对本人在校"}
        path = f"{path}/{profile.id}/review"
        await self._choose_official("province").post("review", path, review, insist=True, student=profile.id)

    def _counselor_of(self, student: Student) -> Official:
        fitting = (
            each
            for each in self.world.staff_with_role("counselor")
            if student.profile.class_id in each.class_ids
        )
        return self.officials[next(fitting).account_id]

    async def _request_leave(self, student: Student, *, withdrawn: bool) -> None:
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

    async def _wait_for_verdicts(self, roll_call: str, seconds: float = 60.0) -> None:
        """Wait until each complete burst has a verdict. Moves the clock so that leases of dead workers expire."""
        waiting = "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM verification_task WHERE roll_call_id = %s AND state <> 'dead')"
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if await self.wait_for_row("verdicts", waiting, roll_call, seconds=4.0):
                return
            self.advance(LEASE_SECONDS)

    async def _settle_with_late_envelope(self, roll_call: str, late: Student) -> None:
        """Settle the roll call while an envelope that arrived in time is not stored yet."""
        self.advance(self._last_deadline() - self.clock() - 5)
        sending = await self._send_while_paused(late, roll_call)
        self.advance(FRAMES_TIMEOUT + 5)
        await self.wait_for_row("settlement", SETTLED, roll_call, seconds=25.0)
        for relay in self._database_relays("api"):
            relay.restore()
        if sending is not None:
            await sending
        await self._wait_for_verdicts(roll_call, 10.0)
        self.advance(SETTLEMENT_TIMEOUT)
        await self.wait_for_row("settlement", SETTLED, roll_call, seconds=25.0)

    def _database_relays(self, kind: str) -> list[Any]:
        return [p.relay for name, p in self.deployment.processes.items() if name.startswith(kind) and p.relay]

    async def _send_while_paused(self, student: Student, roll_call: str) -> "asyncio.Task[Any] | None":
        made = await student.signed(roll_call)
        if made is None:
            return None
        nonce, compact, _ = made
        for relay in self._database_relays("api"):
            relay.pause_traffic()
        sending = asyncio.create_task(student.send(roll_call, nonce, compact, honest=True))
        await asyncio.sleep(0.5)  # it arrives before the clock is moved
        return sending

    async def _appeal_and_determine(self, roll_call: str, students: list[Student]) -> None:
        """File appeals and determinations against the settlement, and wait for the resulting jobs."""
        await asyncio.gather(
            self._appeal(roll_call, students[12], upheld=True),
            self._appeal(roll_call, students[13], upheld=False),
            self._determine(roll_call, students[5]),
        )
        for _ in range(30):
            waiting = await asyncio.to_thread(self._waiting)
            if not waiting:
                return
            await asyncio.sleep(1.0)
        self.history.add("driver", "note", "timed out waiting", what=str(waiting))

    def _waiting(self) -> list[dict[str, Any]]:
        return self.query(
            "SELECT task_name, status::text FROM procrastinate_jobs WHERE NOT args ? 'timestamp'"
            " AND status IN ('todo', 'doing')"
        )

    async def _appeal(self, roll_call: str, student: Student, *, upheld: bool) -> None:
        body = {"against": {"kind": "check", "roll_call_id": roll_call}, "grounds": REASON}
        await student.post("appeal", "/v1/me/appeals", body, roll_call=roll_call)
        query = "SELECT id::text FROM appeal_filed WHERE student_id = %s AND target_id = %s"
        rows = self.query(query, student.profile.id, roll_call)
        if not rows:
            return
        if not upheld:
            path = f"/v1/me/appeals/{rows[0]['id']}/withdrawal"
            await student.post("appeal withdrawal", path, {}, roll_call=roll_call)
            return
        decision = {"upheld": True, "reasons": "材料已核实", "finding": "present"}
        path = f"/v1/appeals/{rows[0]['id']}/decision"
        await self._choose_official("province").post("appeal decision", path, decision, insist=True)

    async def _determine(self, roll_call: str, student: Student) -> None:
        body = {
            "student_id": student.profile.id,
            "outcome": "present",
            "reason": "经与本人视频核对，确认在校",
        }
        path = f"/v1/roll-calls/{roll_call}/determinations"
        await self._choose_official("bureau").post("determination", path, body, insist=True)

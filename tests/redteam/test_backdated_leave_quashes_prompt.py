"""A counselor approves leave for the past, so that an absence ends and an open withdrawal prompt loses its basis."""

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.leave.kinds import LeaveKind
from backend.leave.service import DecideLeave, HalfDay, RequestLeave, decide_leave, request_leave
from backend.standing.attendance import RecordAttendance, record_attendance
from tests.support.standing.prompts import load_prompt_id
from tests.support.standing.scenario import create_standing_scenario

EXPECTED = "prompt running, the superior is asked"


async def test_attack(app_context: AppContext, owner: Database) -> None:
    scenario = await create_standing_scenario(app_context, owner)
    scenario.pass_time(hours=2)
    absent_on, counselor, student = scenario.today, scenario.counselor, scenario.student()
    absence = RecordAttendance(scenario.pupil.id, scenario.at, present=False, note="未到校")
    async with scenario.transaction(counselor) as session:
        await record_attendance(session, counselor, absence, scenario.at)
    scenario.pass_time(days=100)
    await scenario.recompute()
    prompt_id = await load_prompt_id(scenario)

    leave_days = HalfDay(absent_on, "morning"), HalfDay(absent_on, "afternoon")
    request = RequestLeave(LeaveKind.SICK, *leave_days, "发烧")
    async with scenario.transaction(student) as session:
        leave = await request_leave(session, student, app_context.keys, request, scenario.at)
    scenario.pass_time(minutes=1)
    async with scenario.transaction(counselor) as session:
        await decide_leave(session, counselor, DecideLeave(leave.request.id, "approved"), scenario.at)
    await scenario.run_events("LeaveRequested", "LeaveDecided")

    step = await scenario.step(prompt_id)
    asked = "open_reason_claim" in step.blockers
    open_states = {"undelivered", "running"}
    verdict = "prompt running, the superior is asked" if step.state in open_states and asked else step.state
    assert verdict == EXPECTED
    scenario.pass_time(days=30)
    await scenario.recompute()
    assert (await scenario.step(prompt_id)).state in {*open_states, "blocked"}

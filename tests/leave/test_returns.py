"""Leave that is taken back or returned from, and the days of a term that it took, in the database."""

from datetime import timedelta

import pytest

from backend.leave.errors import LeaveBegun, LeaveNotBegun, LeaveOver, ReturnTimeInvalid
from backend.leave.rules import LeaveState
from tests.support.leave import LeaveScenario

pytestmark = pytest.mark.clause("HN334-3.5a")


async def test_student_cancels_before_the_start_and_returns_after_it(scenario: LeaveScenario) -> None:
    ahead = await scenario.request_approved(first=1, days=2)
    with pytest.raises(LeaveNotBegun):
        await scenario.return_from(ahead)
    scenario.set_clock(days=1)
    with pytest.raises(LeaveBegun):
        await scenario.cancel(ahead)
    back = await scenario.return_from(ahead)
    assert back.state(scenario.at) is LeaveState.RETURNED
    with pytest.raises(LeaveOver):
        await scenario.return_from(ahead)


async def test_pending_leave_can_be_cancelled_late_but_not_returned_from(scenario: LeaveScenario) -> None:
    asked = await scenario.request(first=-1, days=2)
    with pytest.raises(LeaveNotBegun):
        await scenario.return_from(asked)
    assert (await scenario.cancel(asked)).state(scenario.at) is LeaveState.CANCELLED


async def test_student_returns_now_and_staff_may_state_an_instant(scenario: LeaveScenario) -> None:
    mine = await scenario.request_approved(days=5)
    others = scenario.school.classes[0].students[1]
    theirs = await scenario.request_approved(days=5, pupil=others)
    scenario.set_clock(days=2)
    earlier = scenario.at - timedelta(hours=20)
    own = await scenario.return_from(mine, returned_at=earlier)
    assert own.return_record is not None
    assert own.return_record.returned_at == scenario.at
    for wrong in (scenario.at + timedelta(minutes=1), theirs.request.starts_at - timedelta(minutes=1)):
        with pytest.raises(ReturnTimeInvalid):
            await scenario.return_from(theirs, scenario.counselor, wrong)
    known = await scenario.return_from(theirs, scenario.counselor, earlier)
    assert known.return_record is not None
    assert (known.return_record.returned_at, known.return_record.recorded_at) == (earlier, scenario.at)


async def test_staff_end_leave_that_has_started(scenario: LeaveScenario) -> None:
    leave = await scenario.request_approved(days=5)
    scenario.set_clock(days=1)
    await scenario.cancel(leave, scenario.counselor)
    assert len((await scenario.tally()).used) == 2


async def test_leave_past_its_end_accepts_a_return_but_no_cancellation(scenario: LeaveScenario) -> None:
    leave = await scenario.request_approved(days=2)
    scenario.set_clock(days=4)
    for actor in (scenario.student(), scenario.counselor):
        with pytest.raises(LeaveOver):
            await scenario.cancel(leave, actor)
    assert (await scenario.return_from(leave)).state(scenario.at) is LeaveState.RETURNED
    assert len((await scenario.tally()).used) == 2


# --- days (HN334-3.5b, reading 4) ---


@pytest.mark.clause("HN334-3.5b")
@pytest.mark.clause("R4")
async def test_days_count_as_they_pass_until_the_return(scenario: LeaveScenario) -> None:
    leave = await scenario.request_approved(days=9)
    await scenario.request(first=20, days=5)
    assert (len((await scenario.tally()).used), (await scenario.tally()).planned) == (1, 9)
    scenario.set_clock(days=3, hour=10)
    await scenario.return_from(leave)
    scenario.set_clock(days=5)
    count = await scenario.tally()
    assert (len(count.used), count.planned, count.cap, count.left) == (4, 4, 15, 11)


@pytest.mark.clause("HN334-3.5b")
@pytest.mark.clause("R4")
async def test_fifteen_days_warn_and_the_sixteenth_exceeds(scenario: LeaveScenario) -> None:
    await scenario.request_approved(days=9)
    await scenario.request_approved(first=10, days=7)
    assert (await scenario.tally()).plan_exceeds
    scenario.set_clock(days=11)
    assert (await scenario.tally()).warning == 10
    scenario.set_clock(days=4)
    count = await scenario.tally()
    assert (len(count.used), count.warning, count.over) == (15, 15, False)
    scenario.set_clock(days=1)
    count = await scenario.tally()
    assert (len(count.used), count.warning, count.over) == (16, None, True)

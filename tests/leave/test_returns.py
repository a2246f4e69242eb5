"""Leave that is taken back or returned from, and the days of a term that it took, in the database."""

from datetime import timedelta

import pytest

from backend.leave.errors import LeaveBegun, LeaveNotBegun, LeaveOver, ReturnTimeInvalid
from backend.leave.rules import LeaveState
from tests.support.leave import Desk

pytestmark = pytest.mark.clause("HN334-3.5a")


async def test_student_cancels_before_the_start_and_returns_after_it(desk: Desk) -> None:
    ahead = await desk.approved(first=1, days=2)
    with pytest.raises(LeaveNotBegun):
        await desk.come_back(ahead)
    desk.set_clock(days=1)
    with pytest.raises(LeaveBegun):
        await desk.cancel(ahead)
    back = await desk.come_back(ahead)
    assert back.state(desk.at) is LeaveState.RETURNED
    with pytest.raises(LeaveOver):
        await desk.come_back(ahead)


async def test_pending_leave_can_be_cancelled_late_but_not_returned_from(desk: Desk) -> None:
    asked = await desk.ask(first=-1, days=2)
    with pytest.raises(LeaveNotBegun):
        await desk.come_back(asked)
    assert (await desk.cancel(asked)).state(desk.at) is LeaveState.CANCELLED


async def test_student_returns_now_and_staff_may_state_an_instant(desk: Desk) -> None:
    mine = await desk.approved(days=5)
    others = desk.school.classes[0].students[1]
    theirs = await desk.approved(days=5, pupil=others)
    desk.set_clock(days=2)
    earlier = desk.at - timedelta(hours=20)
    own = await desk.come_back(mine, returned_at=earlier)
    assert own.return_record is not None
    assert own.return_record.returned_at == desk.at
    for wrong in (desk.at + timedelta(minutes=1), theirs.request.starts_at - timedelta(minutes=1)):
        with pytest.raises(ReturnTimeInvalid):
            await desk.come_back(theirs, desk.counselor, wrong)
    known = await desk.come_back(theirs, desk.counselor, earlier)
    assert known.return_record is not None
    assert (known.return_record.returned_at, known.return_record.recorded_at) == (earlier, desk.at)


async def test_staff_end_leave_that_has_started(desk: Desk) -> None:
    leave = await desk.approved(days=5)
    desk.set_clock(days=1)
    await desk.cancel(leave, desk.counselor)
    assert len((await desk.tally()).used) == 2


async def test_leave_past_its_end_accepts_a_return_but_no_cancellation(desk: Desk) -> None:
    leave = await desk.approved(days=2)
    desk.set_clock(days=4)
    for actor in (desk.student(), desk.counselor):
        with pytest.raises(LeaveOver):
            await desk.cancel(leave, actor)
    assert (await desk.come_back(leave)).state(desk.at) is LeaveState.RETURNED
    assert len((await desk.tally()).used) == 2


# --- days (HN334-3.5b, reading 4) ---


@pytest.mark.clause("HN334-3.5b")
@pytest.mark.clause("R4")
async def test_days_count_as_they_pass_until_the_return(desk: Desk) -> None:
    leave = await desk.approved(days=9)
    await desk.ask(first=20, days=5)
    assert (len((await desk.tally()).used), (await desk.tally()).planned) == (1, 9)
    desk.set_clock(days=3, hour=10)
    await desk.come_back(leave)
    desk.set_clock(days=5)
    count = await desk.tally()
    assert (len(count.used), count.planned, count.cap, count.left) == (4, 4, 15, 11)


@pytest.mark.clause("HN334-3.5b")
@pytest.mark.clause("R4")
async def test_fifteen_days_warn_and_the_sixteenth_exceeds(desk: Desk) -> None:
    await desk.approved(days=9)
    await desk.approved(first=10, days=7)
    assert (await desk.tally()).plan_exceeds
    desk.set_clock(days=11)
    assert (await desk.tally()).warning == 10
    desk.set_clock(days=4)
    count = await desk.tally()
    assert (len(count.used), count.warning, count.over) == (15, 15, False)
    desk.set_clock(days=1)
    count = await desk.tally()
    assert (len(count.used), count.warning, count.over) == (16, None, True)

"""Attendance records begin and end an absence, and must be recent (reading 5)."""

import asyncio
from datetime import date, datetime, time, timedelta

import pytest

from backend.core.actor import Actor
from backend.core.clock import LEGAL_ZONE
from backend.core.errors import NotFound, NotPermitted
from backend.org.terms import get_term
from backend.standing.attendance import RecordAttendance, load_attendance_page, record_attendance
from backend.standing.claims import errors
from backend.standing.store.tables import AttendanceEntry
from tests.support.province import counselor_account
from tests.support.standing.scenario import StandingScenario

pytestmark = [pytest.mark.clause("HN334-3.5c"), pytest.mark.clause("R5")]

HOUR = timedelta(hours=1)


async def record(
    scenario: StandingScenario,
    actor: Actor | None = None,
    seen_at: datetime | None = None,
    *,
    present: bool = False,
) -> AttendanceEntry:
    """By default the counselor records that the pupil was absent an hour ago."""
    actor = actor or scenario.counselor
    command = RecordAttendance(scenario.pupil.id, seen_at or scenario.at - HOUR, present, "第一节课未到")
    async with scenario.transaction(actor) as session:
        return await record_attendance(session, actor, command, scenario.at)


async def absence_start(scenario: StandingScenario) -> date | None:
    """The first day of the running absence."""
    absence = (await scenario.recompute()).absence
    return absence.starts_on if absence else None


async def test_a_recorded_absence_starts_a_period_and_presence_ends_it(scenario: StandingScenario) -> None:
    assert await absence_start(scenario) is None
    await record(scenario)
    assert await absence_start(scenario) == scenario.today
    scenario.pass_time(hours=2)
    await record(scenario, scenario.registrar, present=True)
    assert await absence_start(scenario) is None


async def test_a_record_that_makes_an_absence_long_saves_its_warning(scenario: StandingScenario) -> None:
    await record(scenario)
    scenario.set_clock(days=15)
    await record(scenario)
    assert len(await scenario.events("StudentWarned")) == 1


async def test_presence_at_the_same_instant_corrects_a_mistaken_absence(scenario: StandingScenario) -> None:
    mistaken = await record(scenario)
    scenario.set_clock(days=2)
    await record(scenario, seen_at=mistaken.at, present=True)
    assert await absence_start(scenario) is None
    with pytest.raises(errors.AttendanceRecorded):
        await record(scenario, seen_at=mistaken.at)


async def test_the_same_record_is_refused_the_second_time(scenario: StandingScenario) -> None:
    first = await record(scenario)
    with pytest.raises(errors.AttendanceRecorded):
        await record(scenario, scenario.registrar, first.at)


async def test_of_two_concurrent_records_of_one_instant_one_is_refused(scenario: StandingScenario) -> None:
    counselor, seen_at = scenario.counselor, scenario.at - HOUR
    command = RecordAttendance(scenario.pupil.id, seen_at, present=False)
    async with scenario.transaction(counselor) as session:
        await record_attendance(session, counselor, command, scenario.at)
        second = asyncio.create_task(record(scenario, scenario.registrar, seen_at))
        waits = asyncio.create_task(scenario.roll_call_scenario.wait_for_lock("transactionid", "tuple"))
        await asyncio.wait({second, waits}, return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
    with pytest.raises(errors.AttendanceRecorded):
        await second


async def test_records_may_be_at_most_a_week_old(scenario: StandingScenario) -> None:
    week = timedelta(days=7)
    for wrong in (scenario.at + timedelta(seconds=1), scenario.at - week - timedelta(seconds=1)):
        with pytest.raises(errors.AttendanceTimeInvalid):
            await record(scenario, seen_at=wrong)
    assert await record(scenario, seen_at=scenario.at - week)


async def test_a_day_before_the_current_term_is_refused(scenario: StandingScenario) -> None:
    async with scenario.transaction(scenario.registrar) as session:
        term = await get_term(session, scenario.school.id, scenario.today)
    first = datetime.combine(term.starts_on, time(8), tzinfo=LEGAL_ZONE)
    scenario.roll_call_scenario.clock.at = first + timedelta(days=2)
    with pytest.raises(errors.AttendanceTimeInvalid):
        await record(scenario, seen_at=first - timedelta(days=1))
    assert await record(scenario, seen_at=first)


@pytest.mark.clause("HN334-2.3")
async def test_counselors_record_for_their_classes_and_superiors_never(scenario: StandingScenario) -> None:
    colleague = counselor_account(scenario.school, scenario.school.classes[1])
    with pytest.raises(NotFound):
        await record(scenario, colleague)
    for superior in (scenario.bureau, scenario.province):
        with pytest.raises(NotPermitted):
            await record(scenario, superior)


@pytest.mark.clause("HN334-2.3")
async def test_the_counselor_and_the_school_list_records_in_pages(scenario: StandingScenario) -> None:
    rows = [await record(scenario, seen_at=scenario.at - hours * HOUR) for hours in (1, 2, 3)]
    for actor in (scenario.counselor, scenario.registrar):
        async with scenario.transaction(actor) as session:
            first = await load_attendance_page(session, actor, scenario.pupil.id, None, 2)
            position = (first[-1].at, first[-1].id)
            rest = await load_attendance_page(session, actor, scenario.pupil.id, position, 2)
        assert [row.id for row in (*first, *rest)] == [row.id for row in rows]
    colleague = counselor_account(scenario.school, scenario.school.classes[1])
    async with scenario.transaction(colleague) as session:
        with pytest.raises(NotFound):
            await load_attendance_page(session, colleague, scenario.pupil.id, None, 2)

"""Attendance records begin and end an absence, and must be recent (reading 5)."""

import asyncio
from datetime import date, datetime, time, timedelta

import pytest

from backend.core.actor import Actor
from backend.core.clock import LEGAL_ZONE
from backend.core.errors import NotFound, NotPermitted
from backend.org.terms import term_of
from backend.standing.attendance import RecordAttendance, attendance_page, record_attendance
from backend.standing.claims import errors
from backend.standing.store.tables import AttendanceEntry
from tests.support.province import counselor_account
from tests.support.standing.scenario import Registry

pytestmark = [pytest.mark.clause("HN334-3.5c"), pytest.mark.clause("R5")]

HOUR = timedelta(hours=1)


async def record(
    registry: Registry,
    actor: Actor | None = None,
    seen_at: datetime | None = None,
    *,
    present: bool = False,
) -> AttendanceEntry:
    """By default the counselor records that the pupil was absent an hour ago."""
    actor = actor or registry.counselor
    command = RecordAttendance(registry.pupil.id, seen_at or registry.at - HOUR, present, "第一节课未到")
    async with registry.transaction(actor) as session:
        return await record_attendance(session, actor, command, registry.at)


async def absence_start(registry: Registry) -> date | None:
    """The first day of the running absence."""
    absence = (await registry.recompute()).absence
    return absence.starts_on if absence else None


async def test_a_recorded_absence_starts_a_period_and_presence_ends_it(registry: Registry) -> None:
    assert await absence_start(registry) is None
    await record(registry)
    assert await absence_start(registry) == registry.today
    registry.pass_time(hours=2)
    await record(registry, registry.registrar, present=True)
    assert await absence_start(registry) is None


async def test_a_record_that_makes_an_absence_long_saves_its_warning(registry: Registry) -> None:
    await record(registry)
    registry.set_clock(days=15)
    await record(registry)
    assert len(await registry.events("StudentWarned")) == 1


async def test_presence_at_the_same_instant_corrects_a_mistaken_absence(registry: Registry) -> None:
    mistaken = await record(registry)
    registry.set_clock(days=2)
    await record(registry, seen_at=mistaken.at, present=True)
    assert await absence_start(registry) is None
    with pytest.raises(errors.AttendanceRecorded):
        await record(registry, seen_at=mistaken.at)


async def test_the_same_record_is_refused_the_second_time(registry: Registry) -> None:
    first = await record(registry)
    with pytest.raises(errors.AttendanceRecorded):
        await record(registry, registry.registrar, first.at)


async def test_of_two_concurrent_records_of_one_instant_one_is_refused(registry: Registry) -> None:
    counselor, seen_at = registry.counselor, registry.at - HOUR
    command = RecordAttendance(registry.pupil.id, seen_at, present=False)
    async with registry.transaction(counselor) as session:
        await record_attendance(session, counselor, command, registry.at)
        second = asyncio.create_task(record(registry, registry.registrar, seen_at))
        waits = asyncio.create_task(registry.roll_call_scenario.wait_for_lock("transactionid", "tuple"))
        await asyncio.wait({second, waits}, return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
    with pytest.raises(errors.AttendanceRecorded):
        await second


async def test_records_may_be_at_most_a_week_old(registry: Registry) -> None:
    week = timedelta(days=7)
    for wrong in (registry.at + timedelta(seconds=1), registry.at - week - timedelta(seconds=1)):
        with pytest.raises(errors.AttendanceTimeInvalid):
            await record(registry, seen_at=wrong)
    assert await record(registry, seen_at=registry.at - week)


async def test_a_day_before_the_current_term_is_refused(registry: Registry) -> None:
    async with registry.transaction(registry.registrar) as session:
        term = await term_of(session, registry.school.id, registry.today)
    first = datetime.combine(term.starts_on, time(8), tzinfo=LEGAL_ZONE)
    registry.roll_call_scenario.clock.at = first + timedelta(days=2)
    with pytest.raises(errors.AttendanceTimeInvalid):
        await record(registry, seen_at=first - timedelta(days=1))
    assert await record(registry, seen_at=first)


@pytest.mark.clause("HN334-2.3")
async def test_counselors_record_for_their_classes_and_superiors_never(registry: Registry) -> None:
    colleague = counselor_account(registry.school, registry.school.classes[1])
    with pytest.raises(NotFound):
        await record(registry, colleague)
    for superior in (registry.bureau, registry.province):
        with pytest.raises(NotPermitted):
            await record(registry, superior)


@pytest.mark.clause("HN334-2.3")
async def test_the_counselor_and_the_school_list_records_in_pages(registry: Registry) -> None:
    rows = [await record(registry, seen_at=registry.at - hours * HOUR) for hours in (1, 2, 3)]
    for actor in (registry.counselor, registry.registrar):
        async with registry.transaction(actor) as session:
            first = await attendance_page(session, actor, registry.pupil.id, None, 2)
            position = (first[-1].at, first[-1].id)
            rest = await attendance_page(session, actor, registry.pupil.id, position, 2)
        assert [row.id for row in (*first, *rest)] == [row.id for row in rows]
    colleague = counselor_account(registry.school, registry.school.classes[1])
    async with registry.transaction(colleague) as session:
        with pytest.raises(NotFound):
            await attendance_page(session, colleague, registry.pupil.id, None, 2)

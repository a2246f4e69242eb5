"""Part-time students register at most twice a year (HN334-2.2)."""

import asyncio
from datetime import UTC, datetime

import pytest

from backend.core.errors import NotPermitted
from backend.org.paths import division_of
from backend.people.tables import Student
from backend.roll_call.errors import RegistrationsUsedUp
from backend.roll_call.half_year_registration import register_half_year
from backend.roll_call.tables import HalfYearRegistration
from tests.support.province import SampleStudent, student_account
from tests.support.roll_call.scenario import RollCallScenario

pytestmark = pytest.mark.clause("HN334-2.2")


@pytest.fixture
async def part_time_student(scenario: RollCallScenario) -> SampleStudent:
    pupil = scenario.school.students[0]
    async with scenario.owner_transaction() as session:
        (await session.get_one(Student, pupil.id)).study_form = "part_time"
    return pupil


async def register_student(
    scenario: RollCallScenario, pupil: SampleStudent, at: datetime | None = None
) -> HalfYearRegistration:
    actor = student_account(scenario.school, pupil)
    async with scenario.app_context.database.transaction(actor.scope) as session:
        return await register_half_year(session, actor, division_of(actor.org_path), at or scenario.clock())


async def test_third_registration_of_the_year_is_refused(
    scenario: RollCallScenario, part_time_student: SampleStudent
) -> None:
    assert [(await register_student(scenario, part_time_student)).number for _ in range(2)] == [1, 2]
    with pytest.raises(RegistrationsUsedUp) as refused:
        await register_student(scenario, part_time_student)
    assert refused.value.params["allowed"] == 2


async def test_year_starts_at_midnight_in_the_legal_time_zone(
    scenario: RollCallScenario, part_time_student: SampleStudent
) -> None:
    last_minute = datetime(2026, 12, 31, 15, 59, tzinfo=UTC)
    for _ in range(2):
        assert (await register_student(scenario, part_time_student, last_minute)).year == 2026
    with pytest.raises(RegistrationsUsedUp):
        await register_student(scenario, part_time_student, last_minute)
    new_year = await register_student(scenario, part_time_student, datetime(2026, 12, 31, 16, 0, tzinfo=UTC))
    assert (new_year.year, new_year.number) == (2027, 1)


async def test_concurrent_requests_make_exactly_two_registrations(
    scenario: RollCallScenario, part_time_student: SampleStudent
) -> None:
    answers = await asyncio.gather(
        *(register_student(scenario, part_time_student) for _ in range(8)), return_exceptions=True
    )
    numbers = sorted(each.number for each in answers if isinstance(each, HalfYearRegistration))
    assert numbers == [1, 2]
    assert sum(isinstance(each, RegistrationsUsedUp) for each in answers) == 6


async def test_full_time_student_may_not_register(scenario: RollCallScenario) -> None:
    with pytest.raises(NotPermitted):
        await register_student(scenario, scenario.school.students[1])

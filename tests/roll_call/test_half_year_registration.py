"""Part-time students register twice a year and no third time (HN334-2.2)."""

import asyncio
from datetime import UTC, datetime

import pytest

from backend.core.errors import NotPermitted
from backend.org.paths import division_of
from backend.people.tables import Student
from backend.roll_call.errors import RegistrationsUsedUp
from backend.roll_call.half_year_registration import register
from backend.roll_call.tables import HalfYearRegistration
from tests.support.province import Pupil, student_account
from tests.support.roll_call.scenario import Stage

pytestmark = pytest.mark.clause("HN334-2.2")


@pytest.fixture
async def part_timer(stage: Stage) -> Pupil:
    pupil = stage.school.students[0]
    async with stage.arrange() as session:
        (await session.get_one(Student, pupil.id)).study_form = "part_time"
    return pupil


async def registered(stage: Stage, pupil: Pupil, at: datetime | None = None) -> HalfYearRegistration:
    actor = student_account(stage.school, pupil)
    async with stage.app_context.database.transaction(actor.scope) as session:
        return await register(session, actor, division_of(actor.org_path), at or stage.clock())


async def test_two_a_year_are_open_and_the_third_is_refused(stage: Stage, part_timer: Pupil) -> None:
    assert [(await registered(stage, part_timer)).number for _ in range(2)] == [1, 2]
    with pytest.raises(RegistrationsUsedUp) as refused:
        await registered(stage, part_timer)
    assert refused.value.params["allowed"] == 2


async def test_the_year_is_the_legal_one(stage: Stage, part_timer: Pupil) -> None:
    last_minute = datetime(2026, 12, 31, 15, 59, tzinfo=UTC)
    for _ in range(2):
        assert (await registered(stage, part_timer, last_minute)).year == 2026
    with pytest.raises(RegistrationsUsedUp):
        await registered(stage, part_timer, last_minute)
    new_year = await registered(stage, part_timer, datetime(2026, 12, 31, 16, 0, tzinfo=UTC))
    assert (new_year.year, new_year.number) == (2027, 1)


async def test_eight_at_once_make_exactly_two(stage: Stage, part_timer: Pupil) -> None:
    answers = await asyncio.gather(*(registered(stage, part_timer) for _ in range(8)), return_exceptions=True)
    numbers = sorted(each.number for each in answers if isinstance(each, HalfYearRegistration))
    assert numbers == [1, 2]
    assert sum(isinstance(each, RegistrationsUsedUp) for each in answers) == 6


async def test_full_time_students_prove_presence_instead(stage: Stage) -> None:
    with pytest.raises(NotPermitted):
        await registered(stage, stage.school.students[1])

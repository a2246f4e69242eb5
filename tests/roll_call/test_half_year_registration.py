"""Part-time students register once in each term's registration period, at most twice a year (HN334-2.2, reading 21)."""

import asyncio
from datetime import date, datetime, time, timedelta

import pytest

from backend.core.bilingual import term_words
from backend.core.clock import LEGAL_ZONE, legal_day
from backend.core.errors import NotPermitted
from backend.org.paths import division_of
from backend.org.terms import NewTerm, TermView, get_term, open_term
from backend.people.tables import Student
from backend.roll_call.errors import RegisteredThisTerm, RegistrationNotOpen
from backend.roll_call.half_year_registration import register_half_year
from backend.roll_call.tables import HalfYearRegistration
from tests.support.province import SampleStudent, registrar_account, student_account
from tests.support.roll_call.scenario import RollCallScenario

pytestmark = [pytest.mark.clause("HN334-2.2"), pytest.mark.clause("R21")]
OPENS_BEFORE, CLOSES_AFTER = timedelta(days=7), timedelta(days=30)
"""The registration period of the shipped policy, around the first day of term."""


@pytest.fixture
async def part_time_student(scenario: RollCallScenario) -> SampleStudent:
    pupil = scenario.school.students[0]
    async with scenario.owner_transaction() as session:
        (await session.get_one(Student, pupil.id)).study_form = "part_time"
    return pupil


@pytest.fixture
async def term(scenario: RollCallScenario) -> TermView:
    async with scenario.owner_transaction() as session:
        return await get_term(session, scenario.school.id, legal_day(scenario.clock()))


def noon(day: date) -> datetime:
    return datetime.combine(day, time(12), tzinfo=LEGAL_ZONE)


async def register_student(
    scenario: RollCallScenario, pupil: SampleStudent, at: datetime
) -> HalfYearRegistration:
    actor = student_account(scenario.school, pupil)
    async with scenario.app_context.database.transaction(actor.scope) as session:
        return await register_half_year(session, actor, division_of(actor.org_path), at)


async def open_next_term(scenario: RollCallScenario, term: TermView) -> TermView:
    """Open the school's next term, a few weeks after this one."""
    starts_on = term.ends_on + timedelta(days=40)
    new = NewTerm(scenario.school.id, f"next-{term.code}", starts_on, starts_on + timedelta(days=100))
    registrar = registrar_account(scenario.school)
    async with scenario.owner_transaction() as session:
        return await open_term(session, registrar, new, scenario.clock())


async def test_two_taps_in_a_minute_make_one_registration(
    scenario: RollCallScenario, part_time_student: SampleStudent, term: TermView
) -> None:
    first = await register_student(scenario, part_time_student, noon(term.starts_on))
    assert (first.term_code, first.number) == (term.code, 1)
    with pytest.raises(RegisteredThisTerm) as refused:
        await register_student(scenario, part_time_student, noon(term.starts_on) + timedelta(minutes=1))
    assert refused.value.params["term_zh"] == term_words(term.code).zh


async def test_the_other_term_stays_open(
    scenario: RollCallScenario, part_time_student: SampleStudent, term: TermView
) -> None:
    following = await open_next_term(scenario, term)
    await register_student(scenario, part_time_student, noon(term.starts_on))
    with pytest.raises(RegisteredThisTerm) as refused:
        await register_student(scenario, part_time_student, noon(term.starts_on))
    assert str(following.starts_on - OPENS_BEFORE) in refused.value.sentence("zh")
    second = await register_student(scenario, part_time_student, noon(following.starts_on))
    assert second.term_code == following.code


@pytest.mark.parametrize(("days", "accepted"), [(-8, False), (-7, True), (30, True), (31, False)], ids=str)
async def test_the_period_has_a_first_and_a_last_day(
    scenario: RollCallScenario, part_time_student: SampleStudent, term: TermView, days: int, accepted: bool
) -> None:
    at = noon(term.starts_on + timedelta(days=days))
    if accepted:
        assert (await register_student(scenario, part_time_student, at)).term_code == term.code
    else:
        with pytest.raises(RegistrationNotOpen):
            await register_student(scenario, part_time_student, at)


async def test_the_period_ends_at_midnight_in_the_legal_time_zone(
    scenario: RollCallScenario, part_time_student: SampleStudent, term: TermView
) -> None:
    midnight = datetime.combine(
        term.starts_on + CLOSES_AFTER + timedelta(days=1), time.min, tzinfo=LEGAL_ZONE
    )
    with pytest.raises(RegistrationNotOpen):
        await register_student(scenario, part_time_student, midnight)
    await register_student(scenario, part_time_student, midnight - timedelta(minutes=1))


async def test_concurrent_requests_make_exactly_one_registration(
    scenario: RollCallScenario, part_time_student: SampleStudent, term: TermView
) -> None:
    answers = await asyncio.gather(
        *(register_student(scenario, part_time_student, noon(term.starts_on)) for _ in range(8)),
        return_exceptions=True,
    )
    assert sum(isinstance(each, HalfYearRegistration) for each in answers) == 1
    assert sum(isinstance(each, RegisteredThisTerm) for each in answers) == 7


async def test_full_time_student_may_not_register(scenario: RollCallScenario, term: TermView) -> None:
    with pytest.raises(NotPermitted):
        await register_student(scenario, scenario.school.students[1], noon(term.starts_on))

"""The daily assessment: in batches, safe to repeat, safe to run concurrently, without loading empty students."""

import asyncio
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import literal, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.database import Base
from backend.org.tables import OrgUnit
from backend.people.tables import StudentLock
from backend.roll_call.rules import Outcome
from backend.standing import batch_assessment
from backend.standing.batch_assessment import (
    TABLES_AFFECTING_STANDING,
    RunResult,
    SingleSchool,
    assess_school,
    select_students_to_assess,
)
from backend.standing.engine.assess import Assessment
from backend.standing.engine.facts import CalendarYearLoaded, Outage, StudentFacts
from backend.standing.store import event_tables, tables
from backend.standing.store.load import load_student_refs, policy_history
from backend.standing.store.lock import LockedStudent
from backend.standing.store.save import note_difference, recompute, recompute_many
from backend.standing.store.tables import DailyAssessment, PromptRecord, PromptStep, StudentStanding
from backend.standing.tasks import assess_due, assess_one_school, enqueue_due, enqueue_unassessed
from tests.support.roll_call.scenario import make_job_context
from tests.support.standing.facts import END, FIRST, assessment, at, check_sequences, days, student
from tests.support.standing.prompts import confirm_receipt, delete_jobs, raise_prompt
from tests.support.standing.scenario import StandingScenario

pytestmark = pytest.mark.clause("HN334-4.1b")


async def assess_all(scenario: StandingScenario) -> RunResult:
    return await assess_school(scenario.app_context, scenario.school.id, scenario.school.path, scenario.at)


async def last_locked_at(scenario: StandingScenario) -> datetime:
    [row] = await scenario.rows(StudentLock)
    as_of: datetime = row.as_of
    return as_of


async def load_assessed_days(scenario: StandingScenario) -> list[DailyAssessment]:
    async with scenario.roll_call_scenario.owner_transaction() as session:
        rows = await session.scalars(
            select(DailyAssessment).where(DailyAssessment.school_id == scenario.school.id)
        )
        return list(rows)


async def test_a_run_saves_the_results_of_all_students_and_records_the_day(
    scenario: StandingScenario,
) -> None:
    await scenario.misses(2, present=[scenario.pupil])
    others = len(scenario.school.students) - 1
    result = await assess_all(scenario)
    assert await scenario.count(PromptRecord) == others
    assert await scenario.rows(PromptRecord) == []
    assert (result.students, result.changed) == (others + 1, others)
    [day] = await load_assessed_days(scenario)
    assert (day.legal_day, day.students, day.changed) == (scenario.today, others + 1, others)


async def test_a_second_run_changes_nothing_and_locks_no_student(scenario: StandingScenario) -> None:
    await scenario.misses(2)
    await assess_all(scenario)
    before = await last_locked_at(scenario)
    scenario.pass_time(hours=1)
    assert (await assess_all(scenario)).changed == 0
    assert await last_locked_at(scenario) == before
    assert len(await scenario.rows(PromptStep)) == 1
    assert len(await scenario.events("PromptRaised")) == 1
    assert len(await load_assessed_days(scenario)) == 1


async def test_two_concurrent_runs_raise_one_prompt(scenario: StandingScenario) -> None:
    await scenario.misses(2)
    await asyncio.gather(assess_all(scenario), assess_all(scenario))
    assert await scenario.count(PromptRecord) == len(scenario.school.students)
    assert len(await scenario.events("PromptRaised")) == 1
    assert await scenario.count(tables.ReplayDifference) == 0


async def test_a_failing_student_does_not_stop_the_others_but_the_day_stays_open(
    scenario: StandingScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scenario.misses(2)
    broken = scenario.school.students[2].id

    async def failing(session: AsyncSession, student_id: UUID, at: datetime) -> Assessment:
        if student_id == broken:
            raise RuntimeError
        return await original(session, student_id, at)

    async def failing_batch(session: AsyncSession, student_ids: Collection[UUID], at: datetime) -> int:
        if broken in student_ids:
            raise RuntimeError
        return await original_batch(session, student_ids, at)

    original, original_batch = recompute, recompute_many
    monkeypatch.setattr(batch_assessment, "recompute", failing)
    monkeypatch.setattr(batch_assessment, "recompute_many", failing_batch)
    with pytest.raises(ExceptionGroup):
        await assess_all(scenario)
    assert await scenario.count(PromptRecord) == len(scenario.school.students) - 1
    assert await load_assessed_days(scenario) == []
    monkeypatch.undo()
    assert (await assess_all(scenario)).changed == 1
    assert len(await load_assessed_days(scenario)) == 1


# --- which students are assessed ---


async def load_students_to_assess(scenario: StandingScenario) -> set[UUID]:
    async with scenario.as_worker() as session:
        school = SingleSchool(scenario.school.id, scenario.school.path)
        return set(await session.scalars(select_students_to_assess(school, scenario.at)))


async def test_students_who_only_passed_are_not_loaded(scenario: StandingScenario) -> None:
    await scenario.misses(1, present=[scenario.pupil])
    assert await load_students_to_assess(scenario) == {pupil.id for pupil in scenario.school.students[1:]}


async def test_students_with_a_stored_assessment_are_assessed(scenario: StandingScenario) -> None:
    async with scenario.as_worker() as session:
        session.add(
            StudentStanding(
                student_id=scenario.pupil.id,
                school_id=scenario.school.id,
                as_of=scenario.at,
                policy_version="-",
                digest=b"-",
                assessment={},
            )
        )
    assert await load_students_to_assess(scenario) == {scenario.pupil.id}


async def test_if_one_miss_raises_a_prompt_all_students_are_assessed(
    scenario: StandingScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    law = replace(policy_history(scenario.school.path).on(scenario.today), consecutive=1)
    monkeypatch.setattr("backend.standing.policy._standing_law", lambda *_: law)
    assert await load_students_to_assess(scenario) == {pupil.id for pupil in scenario.school.students}


def test_every_table_with_facts_about_a_student_is_considered() -> None:
    derived = {"prompt", "prompt_step", "standing_entry", "aid_released", "standing_warning"}
    answers = {  # to a row of a table that is considered
        "dismissal_answer",
        "reason_claim_decision",
        "appeal_decided",
        "appeal_withdrawn",
        "change_request_step",
    }
    without_effect = {"prompt_statement", "change_request"}
    considered = {table.__tablename__ for table in TABLES_AFFECTING_STANDING}
    of_students = {
        table.__tablename__
        for table in Base.__subclasses__()
        if table.__module__ in {tables.__name__, event_tables.__name__} and table.__tenancy__ == "student"
    }
    assert of_students - considered == derived | answers | without_effect


unmissed = st.sampled_from([Outcome.PRESENT, Outcome.EXCUSED, Outcome.UNDETERMINED])


@st.composite
def quiet_students(draw: st.DrawFn) -> StudentFacts:
    """Students without misses and without records of their own; outages and voided checks can affect them."""
    checks = tuple(
        replace(each, results=tuple(replace(result, outcome=draw(unmissed)) for result in each.results))
        for each in draw(check_sequences())
    )
    outages = tuple(
        Outage(
            str(number), at(day), at(day), at(day, 20), decided_at=at(day, 22), approved=draw(st.booleans())
        )
        for number, day in enumerate(draw(st.lists(days, max_size=2)))
    )
    voided = tuple(replace(each, voided_at=draw(st.sampled_from([None, each.closes_at]))) for each in checks)
    quiet = student(*voided)
    return replace(quiet, outages=outages, calendar_loads=(CalendarYearLoaded(2027, at(FIRST)),))


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(quiet_students(), st.integers(0, 140))
def test_students_without_misses_or_records_have_an_empty_assessment(
    facts: StudentFacts, days_back: int
) -> None:
    assert assessment(facts, END - timedelta(days=days_back)).is_empty


# --- periodic tasks ---


async def mark_other_schools_assessed(scenario: StandingScenario) -> None:
    """Record the day for all schools of earlier tests in the database."""
    rest = select(OrgUnit.id, literal(scenario.today), literal(0), literal(0), literal(scenario.at))
    rest = rest.where(OrgUnit.kind == "school", OrgUnit.id != scenario.school.id)
    columns = ["school_id", "legal_day", "students", "changed", "finished_at"]
    async with scenario.roll_call_scenario.owner_transaction() as session:
        await session.execute(upsert(DailyAssessment).from_select(columns, rest).on_conflict_do_nothing())


async def test_a_school_gets_a_job_on_each_legal_day_until_it_is_assessed(scenario: StandingScenario) -> None:
    async def count_jobs() -> int:
        await mark_other_schools_assessed(scenario)
        await enqueue_unassessed(scenario.app_context)
        await enqueue_unassessed(scenario.app_context)
        return await scenario.roll_call_scenario.jobs("assess_school", school_id=scenario.school.id)

    assert await count_jobs() == 1
    await assess_one_school(
        make_job_context(scenario.app_context), school_id=str(scenario.school.id), path=scenario.school.path
    )
    await delete_jobs(scenario)
    assert await count_jobs() == 0
    scenario.set_clock(days=3)
    assert await count_jobs() == 1


async def test_a_passed_deadline_is_saved_soon(scenario: StandingScenario) -> None:
    due_at = await confirm_receipt(scenario, await raise_prompt(scenario))
    scenario.roll_call_scenario.clock.at = due_at - timedelta(seconds=1)
    await enqueue_due(scenario.app_context)
    assert await scenario.roll_call_scenario.jobs("assess_due", school_id=scenario.school.id) == 0
    scenario.roll_call_scenario.clock.at = due_at
    await enqueue_due(scenario.app_context)
    assert await scenario.roll_call_scenario.jobs("assess_due", school_id=scenario.school.id) == 1
    await assess_due(
        make_job_context(scenario.app_context), school_id=str(scenario.school.id), path=scenario.school.path
    )
    [entry] = await scenario.rows(tables.StandingEntry)
    assert (entry.cause, entry.at) == ("expiry", due_at)
    await delete_jobs(scenario)
    await enqueue_due(scenario.app_context)
    assert await scenario.roll_call_scenario.jobs("assess_due", school_id=scenario.school.id) == 0


async def test_a_student_with_a_noted_difference_gets_no_due_job(scenario: StandingScenario) -> None:
    due_at = await confirm_receipt(scenario, await raise_prompt(scenario))
    async with scenario.as_worker() as session:
        students = await load_student_refs(session, [scenario.pupil.id])
        locked = LockedStudent(students[scenario.pupil.id], scenario.at)
        await note_difference(session, locked, [{"kind": "entry_without_basis", "id": "-"}], "replay")
    scenario.roll_call_scenario.clock.at = due_at
    await enqueue_due(scenario.app_context)
    assert await scenario.roll_call_scenario.jobs("assess_due", school_id=scenario.school.id) == 0

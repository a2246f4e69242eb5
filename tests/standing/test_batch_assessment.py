"""Everyone is assessed once a day: set by set, safely twice, safely beside another, and without reading the many."""

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
    SchoolOf,
    assess_school,
    students_to_assess,
)
from backend.standing.engine.assess import Assessment
from backend.standing.engine.facts import CalendarYearLoaded, Outage, StudentFacts
from backend.standing.store import event_tables, tables
from backend.standing.store.load import load_student_refs
from backend.standing.store.lock import LockedStudent, policy_history
from backend.standing.store.save import note_difference, recompute, recompute_many
from backend.standing.store.tables import DailyAssessment, PromptRecord, PromptStep, StudentStanding
from backend.standing.tasks import assess_due, assess_one_school, enqueue_due, enqueue_unassessed
from tests.support.province import Pupil
from tests.support.roll_call.scenario import job_of
from tests.support.standing.facts import END, FIRST, assessment, at, check_sequences, days, student
from tests.support.standing.prompts import finish_jobs, prompted, receive
from tests.support.standing.scenario import Registry

pytestmark = pytest.mark.clause("HN334-4.1b")


async def assess(registry: Registry) -> RunResult:
    return await assess_school(registry.app_context, registry.school.id, registry.school.path, registry.at)


async def turn(registry: Registry, pupil: Pupil | None = None) -> datetime:
    [row] = await registry.rows(StudentLock, pupil)
    found: datetime = row.as_of
    return found


async def assessed_days(registry: Registry) -> list[DailyAssessment]:
    async with registry.stage.arrange() as session:
        rows = await session.scalars(
            select(DailyAssessment).where(DailyAssessment.school_id == registry.school.id)
        )
        return list(rows)


async def test_a_run_keeps_what_follows_for_everyone_and_records_the_day(registry: Registry) -> None:
    await registry.misses(2, present=[registry.pupil])
    others = len(registry.school.students) - 1
    done = await assess(registry)
    assert await registry.count(PromptRecord) == others
    assert await registry.rows(PromptRecord) == []
    assert (done.students, done.changed) == (others + 1, others)
    [day] = await assessed_days(registry)
    assert (day.legal_day, day.students, day.changed) == (registry.today, others + 1, others)


async def test_running_twice_changes_nothing_and_takes_nobodys_turn(registry: Registry) -> None:
    await registry.misses(2)
    await assess(registry)
    before = await turn(registry)
    registry.pass_time(hours=1)
    assert (await assess(registry)).changed == 0
    assert await turn(registry) == before
    assert len(await registry.rows(PromptStep)) == 1
    assert len(await registry.events("PromptRaised")) == 1
    assert len(await assessed_days(registry)) == 1


async def test_two_workers_at_once_make_one_prompt(registry: Registry) -> None:
    await registry.misses(2)
    await asyncio.gather(assess(registry), assess(registry))
    assert await registry.count(PromptRecord) == len(registry.school.students)
    assert len(await registry.events("PromptRaised")) == 1
    assert await registry.count(tables.ReplayDifference) == 0


async def test_one_who_cannot_be_assessed_keeps_nobody_waiting_and_the_day_open(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    await registry.misses(2)
    broken = registry.school.students[2].id

    async def refusing(session: AsyncSession, student_id: UUID, at: datetime) -> Assessment:
        if student_id == broken:
            raise RuntimeError
        return await genuine(session, student_id, at)

    async def refusing_some(session: AsyncSession, student_ids: Collection[UUID], at: datetime) -> int:
        if broken in student_ids:
            raise RuntimeError
        return await genuine_for_many(session, student_ids, at)

    genuine, genuine_for_many = recompute, recompute_many
    monkeypatch.setattr(batch_assessment, "recompute", refusing)
    monkeypatch.setattr(batch_assessment, "recompute_many", refusing_some)
    with pytest.raises(ExceptionGroup):
        await assess(registry)
    assert await registry.count(PromptRecord) == len(registry.school.students) - 1
    assert await assessed_days(registry) == []
    monkeypatch.undo()
    assert (await assess(registry)).changed == 1
    assert len(await assessed_days(registry)) == 1


# --- who is judged at all ---


async def judged(registry: Registry) -> set[UUID]:
    async with registry.as_worker() as session:
        school = SchoolOf(registry.school.id, registry.school.path)
        return set(await session.scalars(students_to_assess(school, registry.at)))


async def test_whoever_only_passed_is_not_read(registry: Registry) -> None:
    await registry.misses(1, present=[registry.pupil])
    assert await judged(registry) == {pupil.id for pupil in registry.school.students[1:]}


async def test_whoever_only_has_a_picture_is_judged(registry: Registry) -> None:
    async with registry.as_worker() as session:
        session.add(
            StudentStanding(
                student_id=registry.pupil.id,
                school_id=registry.school.id,
                as_of=registry.at,
                policy_version="-",
                digest=b"-",
                assessment={},
            )
        )
    assert await judged(registry) == {registry.pupil.id}


async def test_where_a_first_miss_prompts_everyone_is_judged(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    law = replace(policy_history(registry.school.path).on(registry.today), consecutive=1)
    monkeypatch.setattr("backend.standing.policy._standing_law", lambda *_: law)
    assert await judged(registry) == {pupil.id for pupil in registry.school.students}


def test_every_table_of_what_is_recorded_of_a_student_is_asked() -> None:
    derived = {"prompt", "prompt_step", "standing_entry", "aid_released", "standing_warning"}
    answers = {  # to something that is itself asked for
        "dismissal_answer",
        "reason_claim_decision",
        "appeal_decided",
        "appeal_withdrawn",
        "change_request_step",
    }
    without_effect = {"prompt_statement", "change_request"}
    asked = {table.__tablename__ for table in TABLES_AFFECTING_STANDING}
    of_students = {
        mapped.class_.__tablename__
        for mapped in Base.registry.mappers
        if mapped.class_.__module__ in {tables.__name__, event_tables.__name__}
        and mapped.class_.__tenancy__ == "student"
    }
    assert of_students - asked == derived | answers | without_effect


unmissed = st.sampled_from([Outcome.PRESENT, Outcome.EXCUSED, Outcome.UNDETERMINED])


@st.composite
def quiet_students(draw: st.DrawFn) -> StudentFacts:
    """Nothing missed and nothing recorded of the student, whatever happened to everybody."""
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
def test_of_whoever_missed_nothing_and_did_nothing_the_law_says_nothing(
    facts: StudentFacts, days_back: int
) -> None:
    assert assessment(facts, END - timedelta(days=days_back)).is_empty


# --- by the clock ---


async def assessed_elsewhere(registry: Registry) -> None:
    """The day is done in every other school of the database: those of hundreds of tests before."""
    rest = select(OrgUnit.id, literal(registry.today), literal(0), literal(0), literal(registry.at))
    rest = rest.where(OrgUnit.kind == "school", OrgUnit.id != registry.school.id)
    columns = ["school_id", "legal_day", "students", "changed", "finished_at"]
    async with registry.stage.arrange() as session:
        await session.execute(upsert(DailyAssessment).from_select(columns, rest).on_conflict_do_nothing())


async def test_a_school_gets_a_job_on_each_legal_day_until_it_was_assessed(registry: Registry) -> None:
    async def waiting() -> int:
        await assessed_elsewhere(registry)
        await enqueue_unassessed(registry.app_context)
        await enqueue_unassessed(registry.app_context)
        return await registry.stage.jobs("assess_school", school_id=registry.school.id)

    assert await waiting() == 1
    await assess_one_school(
        job_of(registry.app_context), school_id=str(registry.school.id), path=registry.school.path
    )
    await finish_jobs(registry)
    assert await waiting() == 0
    registry.set_clock(days=3)
    assert await waiting() == 1


async def test_a_picture_that_time_has_changed_is_kept_soon(registry: Registry) -> None:
    due_at = await receive(registry, await prompted(registry))
    registry.stage.clock.at = due_at - timedelta(seconds=1)
    await enqueue_due(registry.app_context)
    assert await registry.stage.jobs("assess_due", school_id=registry.school.id) == 0
    registry.stage.clock.at = due_at
    await enqueue_due(registry.app_context)
    assert await registry.stage.jobs("assess_due", school_id=registry.school.id) == 1
    await assess_due(
        job_of(registry.app_context), school_id=str(registry.school.id), path=registry.school.path
    )
    [entry] = await registry.rows(tables.StandingEntry)
    assert (entry.cause, entry.at) == ("expiry", due_at)
    await finish_jobs(registry)
    await enqueue_due(registry.app_context)
    assert await registry.stage.jobs("assess_due", school_id=registry.school.id) == 0


async def test_a_record_that_differs_waits_for_a_person_and_not_for_the_beat(registry: Registry) -> None:
    due_at = await receive(registry, await prompted(registry))
    async with registry.as_worker() as session:
        found = await load_student_refs(session, [registry.pupil.id])
        held = LockedStudent(found[registry.pupil.id], registry.at)
        await note_difference(session, held, [{"kind": "entry_without_basis", "id": "-"}], "replay")
    registry.stage.clock.at = due_at
    await enqueue_due(registry.app_context)
    assert await registry.stage.jobs("assess_due", school_id=registry.school.id) == 0

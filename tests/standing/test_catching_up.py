"""A late assessment gives the same prompts, entries and instants as daily assessments."""

import pytest

from backend.standing.batch_assessment import SchoolOf, assess_school, assess_students
from backend.standing.engine.assess import Assessment
from backend.standing.store.load import load_student_refs
from backend.standing.store.lock import assess_now
from backend.standing.store.tables import PromptRecord, PromptStep, StandingEntry
from tests.support.province import Pupil
from tests.support.standing.prompts import prompt_of, receive
from tests.support.standing.scenario import Registry

pytestmark = [pytest.mark.clause("HN334-4.1b"), pytest.mark.clause("R13")]

DOWN_FOR_DAYS = 12


async def assess_without_saving(registry: Registry) -> Assessment:
    async with registry.as_worker() as session:
        students = await load_student_refs(session, [registry.pupil.id])
        return (await assess_now(session, list(students.values()), registry.at))[registry.pupil.id]


async def load_stored(registry: Registry, pupil: Pupil) -> tuple[object, ...]:
    """The stored rows of a student, without ids, so that two students with the same facts compare equal."""
    prompts = sorted(await registry.rows(PromptRecord, pupil), key=lambda row: row.raised_at)
    entries = sorted(await registry.rows(StandingEntry, pupil), key=lambda row: row.seq)
    steps = sorted(await registry.rows(PromptStep, pupil), key=lambda row: row.seq)
    return (
        [(row.kind, row.evidence, row.event_day, row.raised_at, row.proposed) for row in prompts],
        [(row.seq, row.at, row.cause, row.outcome, row.study_form_after) for row in entries],
        [(row.state, row.due_at, row.closed_at, row.closed_by) for row in steps if row.closed_at],
        await registry.status(pupil),
    )


async def test_a_run_after_a_downtime_equals_daily_runs(registry: Registry) -> None:
    daily, late = registry.school.students[:2]
    school = SchoolOf(registry.school.id, registry.school.path)
    await registry.misses(2)
    for pupil in (daily, late):
        await registry.recompute(pupil)
        await receive(registry, await prompt_of(registry, pupil))
    for _ in range(DOWN_FOR_DAYS):
        registry.set_clock(days=1)
        await assess_students(registry.app_context, school, [daily.id], registry.at)
    assert await registry.rows(StandingEntry, late) == []
    await assess_school(registry.app_context, school.school_id, school.path, registry.at)
    assert await load_stored(registry, late) == await load_stored(registry, daily)
    assert len(await registry.rows(StandingEntry, late)) == 1


async def test_a_late_run_stores_the_ids_that_daily_runs_computed(registry: Registry) -> None:
    await registry.misses(2)
    await registry.recompute()
    await receive(registry, await prompt_of(registry))
    by_day = []
    for _ in range(DOWN_FOR_DAYS):
        registry.set_clock(days=1)
        by_day.append(await assess_without_saving(registry))
    await assess_school(registry.app_context, registry.school.id, registry.school.path, registry.at)
    entries = {(str(row.id), row.at) for row in await registry.rows(StandingEntry)}
    assert entries == {(entry.entry_id, entry.at) for each in by_day for entry in each.ledger}
    prompts = {str(row.id) for row in await registry.rows(PromptRecord)}
    assert prompts == {prompt.prompt_id for each in by_day for prompt in each.prompts}


async def test_a_second_run_after_a_downtime_changes_nothing(registry: Registry) -> None:
    await registry.misses(2)
    await registry.recompute()
    await receive(registry, await prompt_of(registry))
    registry.set_clock(days=DOWN_FOR_DAYS)
    first = await assess_school(registry.app_context, registry.school.id, registry.school.path, registry.at)
    second = await assess_school(registry.app_context, registry.school.id, registry.school.path, registry.at)
    assert (first.changed > 0, second.changed) == (True, 0)
    assert len(await registry.events("StandingChanged")) == 1

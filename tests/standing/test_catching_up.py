"""A late assessment gives the same prompts, entries and instants as daily assessments."""

import pytest

from backend.standing.batch_assessment import SingleSchool, assess_school, assess_students
from backend.standing.engine.assess import Assessment
from backend.standing.store.load import load_student_refs
from backend.standing.store.lock import compute_assessments
from backend.standing.store.tables import PromptRecord, PromptStep, StandingEntry
from tests.support.province import SampleStudent
from tests.support.standing.prompts import confirm_receipt, load_prompt_id
from tests.support.standing.scenario import StandingScenario

pytestmark = [pytest.mark.clause("HN334-4.1b"), pytest.mark.clause("R13")]

DOWN_FOR_DAYS = 12


async def assess_without_saving(scenario: StandingScenario) -> Assessment:
    async with scenario.as_worker() as session:
        students = await load_student_refs(session, [scenario.pupil.id])
        return (await compute_assessments(session, list(students.values()), scenario.at))[scenario.pupil.id]


async def load_stored(scenario: StandingScenario, pupil: SampleStudent) -> tuple[object, ...]:
    """The stored rows of a student, without ids, so that two students with the same facts compare equal."""
    prompts = sorted(await scenario.rows(PromptRecord, pupil), key=lambda row: row.raised_at)
    entries = sorted(await scenario.rows(StandingEntry, pupil), key=lambda row: row.seq)
    steps = sorted(await scenario.rows(PromptStep, pupil), key=lambda row: row.seq)
    return (
        [(row.kind, row.evidence, row.event_day, row.raised_at, row.proposed) for row in prompts],
        [(row.seq, row.at, row.cause, row.outcome, row.study_form_after) for row in entries],
        [(row.state, row.due_at, row.closed_at, row.closed_by) for row in steps if row.closed_at],
        await scenario.status(pupil),
    )


async def test_a_run_after_a_downtime_equals_daily_runs(scenario: StandingScenario) -> None:
    daily, late = scenario.school.students[:2]
    school = SingleSchool(scenario.school.id, scenario.school.path)
    await scenario.misses(2)
    for pupil in (daily, late):
        await scenario.recompute(pupil)
        await confirm_receipt(scenario, await load_prompt_id(scenario, pupil))
    for _ in range(DOWN_FOR_DAYS):
        scenario.set_clock(days=1)
        await assess_students(scenario.app_context, school, [daily.id], scenario.at)
    assert await scenario.rows(StandingEntry, late) == []
    await assess_school(scenario.app_context, school.school_id, school.path, scenario.at)
    assert await load_stored(scenario, late) == await load_stored(scenario, daily)
    assert len(await scenario.rows(StandingEntry, late)) == 1


async def test_a_late_run_stores_the_ids_that_daily_runs_computed(scenario: StandingScenario) -> None:
    await scenario.misses(2)
    await scenario.recompute()
    await confirm_receipt(scenario, await load_prompt_id(scenario))
    by_day = []
    for _ in range(DOWN_FOR_DAYS):
        scenario.set_clock(days=1)
        by_day.append(await assess_without_saving(scenario))
    await assess_school(scenario.app_context, scenario.school.id, scenario.school.path, scenario.at)
    entries = {(str(row.id), row.at) for row in await scenario.rows(StandingEntry)}
    assert entries == {(entry.entry_id, entry.at) for each in by_day for entry in each.ledger}
    prompts = {str(row.id) for row in await scenario.rows(PromptRecord)}
    assert prompts == {prompt.prompt_id for each in by_day for prompt in each.prompts}


async def test_a_second_run_after_a_downtime_changes_nothing(scenario: StandingScenario) -> None:
    await scenario.misses(2)
    await scenario.recompute()
    await confirm_receipt(scenario, await load_prompt_id(scenario))
    scenario.set_clock(days=DOWN_FOR_DAYS)
    first = await assess_school(scenario.app_context, scenario.school.id, scenario.school.path, scenario.at)
    second = await assess_school(scenario.app_context, scenario.school.id, scenario.school.path, scenario.at)
    assert (first.changed > 0, second.changed) == (True, 0)
    assert len(await scenario.events("StandingChanged")) == 1

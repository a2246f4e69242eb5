"""Whoever comes a week late finds the same prompts, the same entries and the same instants as whoever came daily."""

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


async def seen(registry: Registry) -> Assessment:
    """What the rules say of the pupil now; nothing is kept."""
    async with registry.as_worker() as session:
        asked = await load_student_refs(session, [registry.pupil.id])
        return (await assess_now(session, list(asked.values()), registry.at))[registry.pupil.id]


async def kept(registry: Registry, pupil: Pupil) -> tuple[object, ...]:
    """What is stored of a student, in words that are the same for two students with the same course."""
    prompts = sorted(await registry.rows(PromptRecord, pupil), key=lambda row: row.raised_at)
    entries = sorted(await registry.rows(StandingEntry, pupil), key=lambda row: row.seq)
    steps = sorted(await registry.rows(PromptStep, pupil), key=lambda row: row.seq)
    return (
        [(row.kind, row.evidence, row.event_day, row.raised_at, row.proposed) for row in prompts],
        [(row.seq, row.at, row.cause, row.outcome, row.study_form_after) for row in entries],
        [(row.state, row.due_at, row.closed_at, row.closed_by) for row in steps if row.closed_at],
        await registry.status(pupil),
    )


async def test_a_week_of_downtime_ends_in_what_daily_runs_had_kept(registry: Registry) -> None:
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
    assert await kept(registry, late) == await kept(registry, daily)
    assert len(await registry.rows(StandingEntry, late)) == 1


async def test_what_is_kept_late_bears_the_ids_that_each_day_had_seen(registry: Registry) -> None:
    await registry.misses(2)
    await registry.recompute()
    await receive(registry, await prompt_of(registry))
    by_day = []
    for _ in range(DOWN_FOR_DAYS):
        registry.set_clock(days=1)
        by_day.append(await seen(registry))
    await assess_school(registry.app_context, registry.school.id, registry.school.path, registry.at)
    entries = {(str(row.id), row.at) for row in await registry.rows(StandingEntry)}
    assert entries == {(entry.entry_id, entry.at) for each in by_day for entry in each.ledger}
    prompts = {str(row.id) for row in await registry.rows(PromptRecord)}
    assert prompts == {prompt.prompt_id for each in by_day for prompt in each.prompts}


async def test_after_a_downtime_a_second_run_finds_nothing(registry: Registry) -> None:
    await registry.misses(2)
    await registry.recompute()
    await receive(registry, await prompt_of(registry))
    registry.set_clock(days=DOWN_FOR_DAYS)
    first = await assess_school(registry.app_context, registry.school.id, registry.school.path, registry.at)
    second = await assess_school(registry.app_context, registry.school.id, registry.school.path, registry.at)
    assert (first.changed > 0, second.changed) == (True, 0)
    assert len(await registry.events("StandingChanged")) == 1

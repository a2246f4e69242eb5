"""Whoever comes a week late finds the same prompts, the same entries and the same instants as whoever came daily."""

import pytest

from backend.standing.assessment import pictures
from backend.standing.daily import SchoolOf, assess_school, assess_those
from backend.standing.recorded import subjects
from backend.standing.rules import Picture
from backend.standing.tables import PromptStep, StandingEntry, StoredPrompt
from tests.standing.prompted import prompt_of, receive
from tests.standing.registry import Registry
from tests.world import Pupil

pytestmark = [pytest.mark.clause("HN334-4.1b"), pytest.mark.clause("R13")]

DOWN_FOR_DAYS = 12


async def seen(registry: Registry) -> Picture:
    """What the rules say of the pupil now; nothing is kept."""
    async with registry.as_worker() as session:
        asked = await subjects(session, [registry.pupil.id])
        return (await pictures(session, list(asked.values()), registry.at))[registry.pupil.id]


async def kept(registry: Registry, pupil: Pupil) -> tuple[object, ...]:
    """What is stored of a student, in words that are the same for two students with the same course."""
    prompts = sorted(await registry.rows(StoredPrompt, pupil), key=lambda row: row.raised_at)
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
        await registry.reassess(pupil)
        await receive(registry, await prompt_of(registry, pupil))
    for _ in range(DOWN_FOR_DAYS):
        registry.set_clock(days=1)
        await assess_those(registry.runtime, school, [daily.id], registry.at)
    assert await registry.rows(StandingEntry, late) == []
    await assess_school(registry.runtime, school.school_id, school.path, registry.at)
    assert await kept(registry, late) == await kept(registry, daily)
    assert len(await registry.rows(StandingEntry, late)) == 1


async def test_what_is_kept_late_bears_the_ids_that_each_day_had_seen(registry: Registry) -> None:
    await registry.misses(2)
    await registry.reassess()
    await receive(registry, await prompt_of(registry))
    by_day = []
    for _ in range(DOWN_FOR_DAYS):
        registry.set_clock(days=1)
        by_day.append(await seen(registry))
    await assess_school(registry.runtime, registry.school.id, registry.school.path, registry.at)
    entries = {(str(row.id), row.at) for row in await registry.rows(StandingEntry)}
    assert entries == {(entry.entry_id, entry.at) for each in by_day for entry in each.ledger}
    prompts = {str(row.id) for row in await registry.rows(StoredPrompt)}
    assert prompts == {prompt.prompt_id for each in by_day for prompt in each.prompts}


async def test_after_a_downtime_a_second_run_finds_nothing(registry: Registry) -> None:
    await registry.misses(2)
    await registry.reassess()
    await receive(registry, await prompt_of(registry))
    registry.set_clock(days=DOWN_FOR_DAYS)
    first = await assess_school(registry.runtime, registry.school.id, registry.school.path, registry.at)
    second = await assess_school(registry.runtime, registry.school.id, registry.school.path, registry.at)
    assert (first.changed > 0, second.changed) == (True, 0)
    assert len(await registry.events("StandingChanged")) == 1

"""The nightly replay notes each difference once, and only replays students who changed since the last run."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from backend.standing.batch_assessment import SchoolOf
from backend.standing.store import tables
from backend.standing.store.replay_tasks import enqueue_unreplayed, replay_school
from tests.support.standing.replay import executed, tamper
from tests.support.standing.scenario import Registry

pytestmark = pytest.mark.clause("R13")


async def run_replay(registry: Registry) -> int:
    school = SchoolOf(registry.school.id, registry.school.path)
    return await replay_school(registry.app_context, school, registry.at)


async def replayed_counts(registry: Registry) -> list[int]:
    """The number of students in each run of the school."""
    async with registry.as_worker() as session:
        return list(await session.scalars(select(tables.ReplayRun.students)))


async def test_unchanged_students_are_replayed_without_a_difference(registry: Registry) -> None:
    await executed(registry)
    assert await run_replay(registry) == 0
    assert await registry.rows(tables.ReplayDifference) == []
    assert await replayed_counts(registry) == [1]


async def test_a_difference_is_noted_and_published_once(registry: Registry) -> None:
    entry_id = await executed(registry)
    await tamper(registry, "UPDATE standing_entry SET outcome = 'withdrawal' WHERE id = :id", id=entry_id)
    assert await run_replay(registry) == 1
    registry.pass_time(days=1)
    assert await run_replay(registry) == 1
    [noted] = await registry.rows(tables.ReplayDifference)
    assert noted.found_by == "replay"
    [difference] = noted.differences
    assert difference["kind"] == "entry_differs"
    assert difference["stored"] == {"outcome": "withdrawal"}
    assert difference["replayed"] == {"outcome": "part_time"}
    assert len(await registry.events("ReplayDifferenceFound")) == 1


async def test_noting_a_difference_changes_nothing_else(registry: Registry) -> None:
    entry_id = await executed(registry)
    await tamper(registry, "UPDATE standing_entry SET outcome = 'withdrawal' WHERE id = :id", id=entry_id)
    await run_replay(registry)
    [entry] = await registry.rows(tables.StandingEntry)
    assert entry.outcome == "withdrawal"


async def test_students_unchanged_since_the_last_run_are_not_replayed(registry: Registry) -> None:
    await executed(registry)
    registry.pass_time(hours=2)
    await run_replay(registry)
    registry.pass_time(days=1)
    await run_replay(registry)
    assert sorted(await replayed_counts(registry)) == [0, 1]
    await registry.recompute()
    registry.pass_time(days=1)
    await run_replay(registry)
    assert sorted(await replayed_counts(registry)) == [0, 1, 1]


async def test_two_runs_on_one_day_are_recorded_once(registry: Registry) -> None:
    await run_replay(registry)
    await run_replay(registry)
    assert len(await replayed_counts(registry)) == 1


async def test_a_school_is_replayed_once_a_night_and_not_before_three(registry: Registry) -> None:
    registry.set_clock(hour=1)
    assert await enqueue_unreplayed(registry.app_context) == 0
    registry.set_clock(hour=4)
    assert await enqueue_unreplayed(registry.app_context) >= 1
    waiting = await registry.roll_call_scenario.jobs("replay_school", school_id=registry.school.id)
    assert waiting == 1
    await run_replay(registry)
    registry.roll_call_scenario.clock.at += timedelta(minutes=1)
    async with registry.roll_call_scenario.owner_transaction() as session:
        schools = await session.execute(
            text("SELECT school_id FROM definer.unreplayed_schools(:day)"), {"day": registry.today}
        )
        assert registry.school.id not in set(schools.scalars())

"""The nightly replay notes each difference once, for a person, and asks again only for who has changed."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from backend.standing.batch_assessment import SchoolOf
from backend.standing.store import tables
from backend.standing.store.replay_tasks import enqueue_unreplayed, replay_school
from tests.standing.test_replay import executed, tamper
from tests.support.standing.scenario import Registry

pytestmark = pytest.mark.clause("R13")


async def run(registry: Registry) -> int:
    school = SchoolOf(registry.school.id, registry.school.path)
    return await replay_school(registry.app_context, school, registry.at)


async def runs(registry: Registry) -> list[int]:
    """How many students each run of the school looked at."""
    async with registry.as_worker() as session:
        return list(await session.scalars(select(tables.ReplayRun.students)))


async def test_untouched_students_are_replayed_without_a_note(registry: Registry) -> None:
    await executed(registry)
    assert await run(registry) == 0
    assert await registry.rows(tables.ReplayDifference) == []
    assert await runs(registry) == [1]


async def test_a_difference_is_noted_once_and_told_once(registry: Registry) -> None:
    entry_id = await executed(registry)
    await tamper(registry, "UPDATE standing_entry SET outcome = 'withdrawal' WHERE id = :id", id=entry_id)
    assert await run(registry) == 1
    registry.pass_time(days=1)
    assert await run(registry) == 1
    [noted] = await registry.rows(tables.ReplayDifference)
    assert noted.found_by == "replay"
    [difference] = noted.differences
    assert difference["kind"] == "entry_differs"
    assert difference["stored"] == {"outcome": "withdrawal"}
    assert difference["replayed"] == {"outcome": "part_time"}
    assert len(await registry.events("ReplayDifferenceFound")) == 1


async def test_a_note_changes_nothing_of_the_record(registry: Registry) -> None:
    entry_id = await executed(registry)
    await tamper(registry, "UPDATE standing_entry SET outcome = 'withdrawal' WHERE id = :id", id=entry_id)
    await run(registry)
    [entry] = await registry.rows(tables.StandingEntry)
    assert entry.outcome == "withdrawal"


async def test_who_has_not_changed_since_the_last_run_is_left_alone(registry: Registry) -> None:
    await executed(registry)
    registry.pass_time(hours=2)
    await run(registry)
    registry.pass_time(days=1)
    await run(registry)
    assert sorted(await runs(registry)) == [0, 1]
    await registry.recompute()
    registry.pass_time(days=1)
    await run(registry)
    assert sorted(await runs(registry)) == [0, 1, 1]


async def test_a_second_run_of_the_day_is_recorded_once(registry: Registry) -> None:
    await run(registry)
    await run(registry)
    assert len(await runs(registry)) == 1


async def test_a_school_is_asked_for_once_a_night_and_not_before(registry: Registry) -> None:
    registry.set_clock(hour=1)
    assert await enqueue_unreplayed(registry.app_context) == 0
    registry.set_clock(hour=4)
    assert await enqueue_unreplayed(registry.app_context) >= 1
    waiting = await registry.stage.jobs("replay_school", school_id=registry.school.id)
    assert waiting == 1
    await run(registry)
    registry.stage.clock.at += timedelta(minutes=1)
    async with registry.stage.arrange() as session:
        found = await session.execute(
            text("SELECT school_id FROM definer.unreplayed_schools(:day)"), {"day": registry.today}
        )
        assert registry.school.id not in set(found.scalars())

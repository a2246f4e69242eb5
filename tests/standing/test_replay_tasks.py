"""The nightly replay notes each difference once, and only replays students who changed since the last run."""

from datetime import timedelta
from typing import cast

import pytest
from sqlalchemy import select, text

from backend.core.audit import load_acts
from backend.core.errors import NotPermitted
from backend.core.listing.pages import PageRequest
from backend.standing.batch_assessment import SingleSchool
from backend.standing.store import tables
from backend.standing.store.errors import DifferenceReviewed
from backend.standing.store.replay_queries import (
    DifferenceSearch,
    DifferenceState,
    DifferenceView,
    ReviewDifference,
    load_differences_page,
    review_difference,
)
from backend.standing.store.replay_schemas import ReplayDifferenceOut
from backend.standing.store.replay_tasks import enqueue_unreplayed, replay_school
from tests.support.standing.replay import execute_by_expiry, tamper
from tests.support.standing.scenario import StandingScenario

pytestmark = pytest.mark.clause("R13")


async def run_replay(scenario: StandingScenario) -> int:
    school = SingleSchool(scenario.school.id, scenario.school.path)
    return await replay_school(scenario.app_context, school, scenario.at)


async def replayed_counts(scenario: StandingScenario) -> list[int]:
    """The number of students in each run of the school."""
    async with scenario.as_worker() as session:
        return list(await session.scalars(select(tables.ReplayRun.students)))


async def test_unchanged_students_are_replayed_without_a_difference(scenario: StandingScenario) -> None:
    await execute_by_expiry(scenario)
    assert await run_replay(scenario) == 0
    assert await scenario.rows(tables.ReplayDifference) == []
    assert await replayed_counts(scenario) == [1]


async def test_a_difference_is_noted_and_published_once(scenario: StandingScenario) -> None:
    entry_id = await execute_by_expiry(scenario)
    await tamper(scenario, "UPDATE standing_entry SET outcome = 'withdrawal' WHERE id = :id", id=entry_id)
    assert await run_replay(scenario) == 1
    scenario.pass_time(days=1)
    assert await run_replay(scenario) == 1
    [noted] = await scenario.rows(tables.ReplayDifference)
    assert noted.found_by == "replay"
    [difference] = noted.differences
    assert difference["kind"] == "entry_differs"
    assert difference["stored"] == {"outcome": "withdrawal"}
    assert difference["replayed"] == {"outcome": "part_time"}
    assert len(await scenario.events("ReplayDifferenceFound")) == 1
    shown = ReplayDifferenceOut.of(DifferenceView(noted, None))
    assert [(each.kind, each.row_id) for each in shown.differences] == [("entry_differs", str(entry_id))]


async def test_a_difference_is_read_by_the_school_and_its_superiors_only(scenario: StandingScenario) -> None:
    entry_id = await execute_by_expiry(scenario)
    await tamper(scenario, "UPDATE standing_entry SET outcome = 'withdrawal' WHERE id = :id", id=entry_id)
    await run_replay(scenario)
    [noted] = await scenario.rows(tables.ReplayDifference)
    for actor in (scenario.registrar, scenario.bureau):
        async with scenario.transaction(actor) as session:
            found = await load_differences_page(session, actor, DifferenceSearch("open"), PageRequest(200))
        assert noted.id in {each.difference.id for each in found.rows}
    counselor = scenario.counselor
    async with scenario.transaction(counselor) as session:
        with pytest.raises(NotPermitted):
            await load_differences_page(session, counselor, DifferenceSearch(), PageRequest(10))


async def test_a_person_records_once_what_was_found(scenario: StandingScenario) -> None:
    entry_id = await execute_by_expiry(scenario)
    await tamper(scenario, "UPDATE standing_entry SET outcome = 'withdrawal' WHERE id = :id", id=entry_id)
    await run_replay(scenario)
    [noted] = await scenario.rows(tables.ReplayDifference)
    command = ReviewDifference(noted.id, "导入时写错，已更正")
    registrar = scenario.registrar
    async with scenario.transaction(registrar) as session:
        view = await review_difference(session, registrar, command, scenario.at)
    assert (view.state, view.review and view.review.reviewed_by) == (
        "reviewed",
        registrar.account_id,
    )
    async with scenario.transaction(scenario.bureau) as session:
        with pytest.raises(DifferenceReviewed):
            await review_difference(session, scenario.bureau, command, scenario.at)
    for state, is_listed in (("open", False), ("reviewed", True)):
        async with scenario.transaction(scenario.bureau) as session:
            search = DifferenceSearch(cast("DifferenceState", state))
            found = await load_differences_page(session, scenario.bureau, search, PageRequest(200))
        assert (noted.id in {each.difference.id for each in found.rows}) is is_listed
    async with scenario.transaction(scenario.bureau) as session:
        acts = await load_acts(session, "replay_difference", str(noted.id), ["standing.difference_reviewed"])
    assert [act.after for act in acts] == [{"note": "导入时写错，已更正"}]


async def test_noting_a_difference_changes_nothing_else(scenario: StandingScenario) -> None:
    entry_id = await execute_by_expiry(scenario)
    await tamper(scenario, "UPDATE standing_entry SET outcome = 'withdrawal' WHERE id = :id", id=entry_id)
    await run_replay(scenario)
    [entry] = await scenario.rows(tables.StandingEntry)
    assert entry.outcome == "withdrawal"


async def test_students_unchanged_since_the_last_run_are_not_replayed(scenario: StandingScenario) -> None:
    await execute_by_expiry(scenario)
    scenario.pass_time(hours=2)
    await run_replay(scenario)
    scenario.pass_time(days=1)
    await run_replay(scenario)
    assert sorted(await replayed_counts(scenario)) == [0, 1]
    await scenario.recompute()
    scenario.pass_time(days=1)
    await run_replay(scenario)
    assert sorted(await replayed_counts(scenario)) == [0, 1, 1]


async def test_two_runs_on_one_day_are_recorded_once(scenario: StandingScenario) -> None:
    await run_replay(scenario)
    await run_replay(scenario)
    assert len(await replayed_counts(scenario)) == 1


async def test_a_school_is_replayed_once_a_night_and_not_before_three(scenario: StandingScenario) -> None:
    scenario.set_clock(hour=1)
    assert await enqueue_unreplayed(scenario.app_context) == 0
    scenario.set_clock(hour=4)
    assert await enqueue_unreplayed(scenario.app_context) >= 1
    waiting = await scenario.roll_call_scenario.jobs("replay_school", school_id=scenario.school.id)
    assert waiting == 1
    await run_replay(scenario)
    scenario.roll_call_scenario.clock.at += timedelta(minutes=1)
    async with scenario.roll_call_scenario.owner_transaction() as session:
        schools = await session.execute(
            text("SELECT school_id FROM definer.unreplayed_schools(:day)"), {"day": scenario.today}
        )
        assert scenario.school.id not in set(schools.scalars())

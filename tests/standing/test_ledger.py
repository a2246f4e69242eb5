"""The ledger: past status, entries, the feed of changes, and the report of conversions to part-time."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from backend.core.errors import BadInput, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.people.tables import Student
from backend.standing.change_requests.errors import (
    StandingBeforeRecord,
)
from backend.standing.engine.facts import Status
from backend.standing.ledger.conversions import Conversions, load_conversions_page
from backend.standing.ledger.queries import (
    ChangesSearch,
    FeedItem,
    StatusOn,
    load_changes_page,
    load_feed_page,
    load_ledger,
    load_status_on,
)
from tests.support.province import counselor_account
from tests.support.standing.change_requests import ChangeRequestScenario
from tests.support.standing.scenario import StandingScenario

pytestmark = pytest.mark.clause("MOE19-2.3b")


@pytest.fixture
def changes(scenario: StandingScenario) -> ChangeRequestScenario:
    return ChangeRequestScenario(scenario)


async def _load_status(changes: ChangeRequestScenario, at: datetime) -> StatusOn:
    async with changes.scenario.transaction(changes.bureau) as session:
        return await load_status_on(session, changes.bureau, changes.pupil.id, at.date(), changes.scenario.at)


@pytest.mark.clause("HN334-2.4")
async def test_a_past_status_is_reproduced_from_the_ledger(changes: ChangeRequestScenario) -> None:
    scenario = changes.scenario
    async with scenario.roll_call_scenario.owner_transaction() as session:
        earlier = scenario.at - timedelta(days=20)
        await session.execute(
            update(Student).where(Student.id == changes.pupil.id).values(created_at=earlier)
        )
    suspended = scenario.at
    await changes.change("11", changes.bureau)
    scenario.pass_time(days=10)
    await changes.change("12", changes.bureau)
    scenario.pass_time(days=10)
    found = {
        days: (await _load_status(changes, suspended + timedelta(days=days))).status
        for days in (-1, 0, 9, 10, 20)
    }
    attending, away, back = (Status(code, "full_time") for code in ("01", "02", "05"))
    assert found == {-1: attending, 0: away, 9: away, 10: back, 20: back}


@pytest.mark.clause("HN334-2.4")
async def test_no_status_before_the_record_or_in_the_future(changes: ChangeRequestScenario) -> None:
    await changes.change("11", changes.bureau)
    with pytest.raises(StandingBeforeRecord):
        await _load_status(changes, changes.scenario.at - timedelta(days=400))
    with pytest.raises(BadInput):
        await _load_status(changes, changes.scenario.at + timedelta(days=1))


async def test_the_ledger_shows_the_request_and_kind_of_an_entry(changes: ChangeRequestScenario) -> None:
    request_view = await changes.change("11", changes.bureau)
    async with changes.scenario.transaction(changes.scenario.student()) as session:
        ledger = await load_ledger(session, changes.scenario.student(), changes.pupil.id)
    [view] = ledger.entries
    assert (view.request_id, view.change_kind, view.reversed) == (request_view.request.id, "11", False)
    assert ledger.locked_by is None
    assert ledger.status == Status("02", "full_time")


async def test_a_counselor_reads_only_ledgers_of_the_own_classes(changes: ChangeRequestScenario) -> None:
    school = changes.scenario.school
    counselor = counselor_account(school, school.classes[1])
    async with changes.scenario.transaction(counselor) as session:
        assert (await load_ledger(session, counselor, school.classes[1].students[0].id)).entries == ()
        with pytest.raises(NotFound):
            await load_ledger(session, counselor, changes.pupil.id)


async def _load_feed(changes: ChangeRequestScenario, after: int, limit: int = 50) -> list[FeedItem]:
    async with changes.scenario.transaction(changes.registrar) as session:
        return list(await load_feed_page(session, changes.registrar, after, limit))


@pytest.mark.clause("HN334-2.4")
async def test_the_feed_has_every_change_once_in_order(changes: ChangeRequestScenario) -> None:
    await changes.change("11", changes.bureau)
    await changes.change("12", changes.bureau)
    assert await _load_feed(changes, 0) == []
    for _ in range(2):
        await changes.scenario.run_events("StandingChanged")
    feed = await _load_feed(changes, 0)
    assert [item.view.entry.standing_after for item in feed] == ["02", "05"]
    assert [item.seq for item in await _load_feed(changes, feed[0].seq)] == [feed[1].seq]
    assert await _load_feed(changes, feed[1].seq) == []


async def test_superiors_filter_changes_by_school_term_and_cause(changes: ChangeRequestScenario) -> None:
    school, term = changes.scenario.school, changes.scenario.roll_call_scenario.world.term_code
    await changes.change("11", changes.bureau)
    searches = {
        ChangesSearch(school.id): 1,
        ChangesSearch(school.id, term, "edit"): 1,
        ChangesSearch(school.id, cause="decision"): 0,
        ChangesSearch(new_id()): 0,
    }
    async with changes.scenario.transaction(changes.bureau) as session:
        for search, expected in searches.items():
            assert len(await load_changes_page(session, changes.bureau, search, None, 50)) == expected
        with pytest.raises(BadInput):
            await load_changes_page(session, changes.bureau, ChangesSearch(term="1999-autumn"), None, 50)


async def _load_conversions(changes: ChangeRequestScenario) -> Conversions:
    term = changes.scenario.roll_call_scenario.world.term_code
    async with changes.scenario.transaction(changes.bureau) as session:
        rows = await load_conversions_page(session, changes.bureau, term, None, 10_000)
    return next(row for row in rows if row.school_id == changes.scenario.school.id)


@pytest.mark.clause("R15")
async def test_conversions_to_part_time_are_counted_by_cause_and_share(
    changes: ChangeRequestScenario,
) -> None:
    await changes.lock()
    second = changes.scenario.school.students[1]
    await changes.answer(await changes.file("L1", second), changes.bureau)
    found = await _load_conversions(changes)
    assert (found.students, found.by_decision, found.by_expiry, found.by_edit) == (2, 1, 0, 1)
    everybody = len(changes.scenario.school.students)
    assert (found.full_time, found.share) == (everybody - 2, round(2 / everybody, 4))


@pytest.mark.clause("R15")
async def test_only_superiors_read_the_conversion_report(changes: ChangeRequestScenario) -> None:
    async with changes.scenario.transaction(changes.registrar) as session:
        with pytest.raises(NotPermitted):
            await load_conversions_page(
                session, changes.registrar, changes.scenario.roll_call_scenario.world.term_code, None, 50
            )

"""The totals of missing students and results come from counters: they equal the rows, in every state and scope."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from backend.core.actor import Actor
from backend.core.ids import new_id
from backend.core.listing.pages import PageRequest
from backend.leave.tables import LeaveDecision, LeaveRequest
from backend.people.queries import matches_search
from backend.people.tables import Student
from backend.roll_call.results import listing, missing
from backend.roll_call.results.listing import ResultFilter, load_results_page
from backend.roll_call.results.missing import MissingSearch, load_missing_page
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import RollCall
from backend.roll_call.voiding import void_roll_call
from tests.support.province import SampleStudent, counselor_account
from tests.support.roll_call.scenario import MICROSECOND, RollCallScenario

MANY = 200
SORTS = ("name", "-name", "class_name", "-class_name")
OUTCOMES = (None, *(each.value for each in Outcome))


async def excuse_by_leave(scenario: RollCallScenario, pupil: SampleStudent) -> None:
    """Approved leave over the whole roll call."""
    at, leave_id, filed_by = scenario.clock(), new_id(), new_id()
    owner = {"school_id": scenario.school.id, "student_id": pupil.id, "filed_by": filed_by}
    async with scenario.owner_transaction() as session:
        session.add(
            LeaveRequest(
                id=leave_id,
                kind="sick",
                starts_at=at - timedelta(days=1),
                ends_at=at + timedelta(days=3),
                reason_sealed=b"-",
                filed_at=at - timedelta(days=2),
                **owner,
            )
        )
        await session.flush()
        session.add(
            LeaveDecision(
                leave_id=leave_id,
                outcome="approved",
                decided_by=new_id(),
                decided_at=at - timedelta(days=1),
                **owner,
            )
        )


async def list_missing(
    scenario: RollCallScenario, actor: Actor, roll_call: RollCall, search: MissingSearch, sort: str = "name"
) -> set[UUID]:
    """The missing students, after checking that the total is their number."""
    request = PageRequest(MANY, sort=sort, with_total=True)
    async with scenario.app_context.database.transaction(actor.scope) as session:
        page = await load_missing_page(session, actor, roll_call, search, request)
    assert page.total is not None
    assert (page.total.count, page.total.is_exact) == (len(page.rows), True)
    return {row.student_id for row in page.rows}


async def list_results(
    scenario: RollCallScenario, actor: Actor, roll_call: RollCall, filters: ResultFilter
) -> set[UUID]:
    """The results, after checking that the total is their number."""
    async with scenario.app_context.database.transaction(actor.scope) as session:
        page = await load_results_page(session, actor, roll_call, filters, PageRequest(MANY, with_total=True))
    assert page.total is not None
    assert (page.total.count, page.total.is_exact) == (len(page.rows), True)
    return {row.student.id for row in page.rows}


async def check_totals(scenario: RollCallScenario, roll_call: RollCall) -> set[UUID]:
    """Compare rows and totals of each reader, outcome and class. Returns the missing students."""
    klass = scenario.school.classes[0]
    counselor = counselor_account(scenario.school, klass)
    found = await list_missing(scenario, scenario.registrar, roll_call, MissingSearch())
    in_class = {each.id for each in klass.students}
    assert await list_missing(scenario, counselor, roll_call, MissingSearch()) == found & in_class
    one_class = MissingSearch(klass.id)
    assert await list_missing(scenario, scenario.registrar, roll_call, one_class) == found & in_class
    assert await list_missing(scenario, scenario.bureau, roll_call, MissingSearch(), "class_name") == found
    for outcome in OUTCOMES:
        results = await list_results(scenario, scenario.registrar, roll_call, ResultFilter(outcome))
        assert await list_results(scenario, counselor, roll_call, ResultFilter(outcome)) == results & in_class
    return found


async def launch_with_every_duty(scenario: RollCallScenario) -> tuple[RollCall, SampleStudent]:
    """A roll call with one excused, one exempt and one present student. Returns it with a student who is missing."""
    excused, exempt, present = scenario.school.classes[0].students[:3]
    absent = scenario.school.classes[1].students[0]
    phone = await scenario.activate(present)
    await excuse_by_leave(scenario, excused)
    async with scenario.owner_transaction() as session:
        await session.execute(update(Student).where(Student.id == exempt.id).values(study_form="part_time"))
    launched = await scenario.launch()
    await scenario.pass_roll_call(phone, launched.roll_call.id)
    missing_now = await check_totals(scenario, launched.roll_call)
    assert absent.id in missing_now
    assert not missing_now & {excused.id, exempt.id, present.id}
    return launched.roll_call, absent


async def test_totals_equal_the_rows_while_open_settled_and_voided(scenario: RollCallScenario) -> None:
    roll_call, absent = await launch_with_every_duty(scenario)
    scenario.clock.at = roll_call.closes_at + timedelta(hours=1) + MICROSECOND
    await scenario.settle(roll_call)
    assert absent.id in await check_totals(scenario, roll_call)
    async with scenario.app_context.database.transaction(scenario.bureau.scope) as session:
        await void_roll_call(session, scenario.bureau, roll_call.id, "停电", scenario.clock())
    await check_totals(scenario, roll_call)


@pytest.mark.parametrize("few_students", [0, MANY])
async def test_wide_lists_find_the_same_students(
    scenario: RollCallScenario, monkeypatch: pytest.MonkeyPatch, few_students: int
) -> None:
    """A province is read in another way than a school: by the index of names, or by the students that a search finds."""
    roll_call, absent = await launch_with_every_duty(scenario)
    keys = scenario.app_context.keys

    async def read(actor: Actor, **changes: Any) -> list[set[UUID]]:
        matching = matches_search(absent.name, keys, spans_many=actor.school_id is None)
        searches = [
            replace(search, **changes) for search in (MissingSearch(), MissingSearch(matching=matching))
        ]
        filters = [
            ResultFilter(outcome, matching=condition, **changes)
            for outcome in OUTCOMES
            for condition in (None, matching)
        ]
        return [
            *[
                await list_missing(scenario, actor, roll_call, each, sort)
                for each in searches
                for sort in SORTS
            ],
            *[await list_results(scenario, actor, roll_call, each) for each in filters],
        ]

    for _ in ("open", "settled"):
        expected = await read(scenario.registrar)
        assert absent.id in expected[0] & expected[len(SORTS)]
        with monkeypatch.context() as patch:
            for module in (missing, listing):
                patch.setattr(module, "FEW_SCHOOLS", 0)
                patch.setattr(module, "FEW_STUDENTS", few_students)
            assert await read(scenario.bureau) == expected
            assert await read(scenario.bureau, unit_path=scenario.school.path) == expected
        scenario.clock.at = roll_call.closes_at + timedelta(hours=1) + MICROSECOND
        await scenario.settle(roll_call)

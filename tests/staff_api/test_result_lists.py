"""The missing students, results and undetermined results of roll calls: their order, search, total and filters."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.roll_call.launch.audience import Audience
from backend.roll_call.rules import Outcome
from backend.roll_call.settlement.determination import DetermineOutcome, determine_outcome
from backend.staff_api import work_queue
from backend.staff_api.roll_calls import results
from tests.support.province import SampleStudent, bureau_account, counselor_account
from tests.support.roll_call.scenario import RollCallScenario, create_scenario
from tests.support.staff_client import StaffClient, staff_client

pytestmark = pytest.mark.clause("HN334-3.4")
UNDETERMINED = "/v1/undetermined-results"
SETTLED_AFTER = timedelta(minutes=30)
"""Longer than the settlement waits for verification."""


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> RollCallScenario:
    return await create_scenario(app_context, owner)


@pytest.fixture
async def api(scenario: RollCallScenario) -> AsyncIterator[StaffClient]:
    client = staff_client(scenario.app_context, results.router, work_queue.router)
    yield client
    await client.http.aclose()


@pytest.fixture
async def roll_call_id(scenario: RollCallScenario) -> UUID:
    """An open check of two schools, without any check-in."""
    audience = Audience(unit_ids=(scenario.school.id, scenario.world.sister.id))
    return (await scenario.launch(audience=audience)).roll_call.id


async def read(api: StaffClient, scenario: RollCallScenario, path: str, **query: Any) -> list[dict[str, Any]]:
    return await api.every(scenario.bureau, path, **query, limit=2)


async def test_missing_students_are_sorted_by_class_and_by_name(
    api: StaffClient, scenario: RollCallScenario, roll_call_id: UUID
) -> None:
    path = f"/v1/roll-calls/{roll_call_id}/missing"
    expected = {each.id for each in (*scenario.school.students, *scenario.world.sister.students)}
    for sort in ("class_name", "name"):
        rows = await read(api, scenario, path, sort=sort)
        assert {UUID(row["student_id"]) for row in rows} == expected
        assert await read(api, scenario, path, sort=f"-{sort}") == rows[::-1]
    by_class = await read(api, scenario, path, sort="class_name", unit_id=str(scenario.school.id))
    names = [row["class_name"] for row in by_class]
    assert names == sorted(names)


async def test_missing_students_are_counted_without_those_who_checked_in(
    api: StaffClient, scenario: RollCallScenario, roll_call_id: UUID
) -> None:
    path = f"/v1/roll-calls/{roll_call_id}/missing"
    every = len(scenario.school.students) + len(scenario.world.sister.students)
    for query, count in (({}, every), ({"q": scenario.school.students[0].name, "sort": "name"}, None)):
        page = (await api.get(scenario.bureau, path, **query, total=True, limit=200)).json()
        assert page["total"] == {"count": len(page["items"]), "is_exact": True}
        assert count is None or page["total"]["count"] == count


async def test_results_are_found_by_a_part_of_the_name(
    api: StaffClient, scenario: RollCallScenario, roll_call_id: UUID
) -> None:
    pupil = scenario.school.students[0]
    path = f"/v1/roll-calls/{roll_call_id}/results"
    for text in (pupil.name, pupil.name[:2], pupil.id_number):
        rows = await read(api, scenario, path, q=text)
        assert str(pupil.id) in {row["student_id"] for row in rows}
        if text != pupil.id_number:
            assert all(text in row["name"] for row in rows)


async def settle_with_undetermined(scenario: RollCallScenario) -> tuple[UUID, SampleStudent]:
    """A settled roll call with one undetermined student: the check-in was never verified."""
    launched = await scenario.launch()
    pupil = scenario.school.students[0]
    await scenario.check_in(await scenario.activate(pupil), launched.roll_call.id)
    scenario.clock.at = launched.roll_call.closes_at + SETTLED_AFTER
    await scenario.settle(launched.roll_call)
    return launched.roll_call.id, pupil


async def test_undetermined_results_are_listed_for_those_who_determine_them(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    roll_call_id, pupil = await settle_with_undetermined(scenario)
    here = {"roll_call_id": str(roll_call_id)}
    rows = await api.every(scenario.bureau, UNDETERMINED, **here)
    assert [(row["student_id"], row["reason"]) for row in rows] == [(str(pupil.id), "verification_pending")]
    assert rows[0]["reason_zh"]
    # A school does not determine the results of its superior's roll call.
    assert await api.every(scenario.registrar, UNDETERMINED) == []
    assert await api.every(bureau_account(scenario.world.other_city), UNDETERMINED) == []
    counselor = counselor_account(scenario.school, scenario.school.classes[0])
    assert (await api.get(counselor, UNDETERMINED)).status_code == 403


async def test_undetermined_results_are_filtered(api: StaffClient, scenario: RollCallScenario) -> None:
    roll_call_id, pupil = await settle_with_undetermined(scenario)
    here = {"roll_call_id": str(roll_call_id)}
    matching: tuple[dict[str, Any], ...] = (
        {"unit_id": str(scenario.school.id)},
        {"reason": "verification_pending"},
        {"q": pupil.name},
        {"minimum_days": 0},
    )
    for each in matching:
        assert len(await api.every(scenario.bureau, UNDETERMINED, **here, **each)) == 1, each
    others: tuple[dict[str, Any], ...] = (
        {"unit_id": str(scenario.world.sister.id)},
        {"reason": "not_announced"},
        {"q": "无此学生"},
        {"minimum_days": 1},
    )
    for each in others:
        assert await api.every(scenario.bureau, UNDETERMINED, **here, **each) == [], each


async def test_a_determined_result_leaves_the_list_and_the_work_queue(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    roll_call_id, pupil = await settle_with_undetermined(scenario)
    waiting = (await api.get(scenario.bureau, "/v1/me/work-queue")).json()["undetermined"]
    assert waiting >= 1
    command = DetermineOutcome(roll_call_id, pupil.id, Outcome.PRESENT, "经视频核对")
    async with scenario.app_context.database.transaction(scenario.bureau.scope) as session:
        await determine_outcome(session, scenario.bureau, command, scenario.clock())
    assert await api.every(scenario.bureau, UNDETERMINED, roll_call_id=str(roll_call_id)) == []
    left = (await api.get(scenario.bureau, "/v1/me/work-queue")).json()["undetermined"]
    assert left == waiting - 1
    counselor = counselor_account(scenario.school, scenario.school.classes[0])
    assert (await api.get(counselor, "/v1/me/work-queue")).json()["undetermined"] is None

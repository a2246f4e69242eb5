"""The roll calls of one student, as the school sees them."""

from collections.abc import AsyncIterator

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.staff_api.roll_calls.student_results import router
from tests.support.province import counselor_account
from tests.support.staff_client import StaffClient, staff_client
from tests.support.standing.scenario import StandingScenario, create_standing_scenario

pytestmark = pytest.mark.clause("HN334-4.1b")


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> StandingScenario:
    return await create_standing_scenario(app_context, owner)


@pytest.fixture
async def api(scenario: StandingScenario) -> AsyncIterator[StaffClient]:
    client = staff_client(scenario.app_context, router)
    yield client
    await client.http.aclose()


async def test_the_counselor_reads_the_history_of_a_student(
    api: StaffClient, scenario: StandingScenario
) -> None:
    await scenario.misses(2)
    await scenario.recompute()
    mine, other = scenario.school.classes[:2]
    path = f"/v1/students/{scenario.pupil.id}/roll-calls"
    rows = await api.every(counselor_account(scenario.school, mine), path, limit=1)
    assert [(row["outcome"], row["duty"], row["counts_as_miss"]) for row in rows] == [
        ("missed", "owed", True)
    ] * 2
    assert rows[0]["opens_at"] > rows[1]["opens_at"]
    assert rows[0]["launcher_name"]
    assert rows[0]["reason_zh"]
    hidden = await api.get(counselor_account(scenario.school, other), path)
    assert (hidden.status_code, hidden.json()["code"]) == (404, "not_found")
    refused = await api.get(scenario.bureau, path)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")

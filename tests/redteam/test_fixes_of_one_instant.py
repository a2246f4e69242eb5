"""A script makes up three fixes and gives them all the same age."""

from collections.abc import AsyncIterator

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.roll_call.scenario import RollCallScenario, create_scenario, pattern_pool
from tests.support.roll_call.student_phone import make_fixes

pytestmark = pytest.mark.clause("HN334-3.4")
EXPECTED = "second check"


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> AsyncIterator[RollCallScenario]:
    with pattern_pool() as pool:
        yield await create_scenario(app_context, owner, pool)


async def test_attack(scenario: RollCallScenario) -> None:
    student = await scenario.activate(scenario.school.students[0])
    launched = await scenario.launch()
    fixes = make_fixes(age_s=1.0)
    found = await scenario.verify(await scenario.check_in(student, launched.roll_call.id, fixes=fixes))
    verdict = (
        "second check"
        if found.finding == "step_up" and "location_doubtful" in found.reasons
        else found.finding
    )
    assert verdict == EXPECTED
    assert await scenario.outcome(launched.roll_call.id, student) is None

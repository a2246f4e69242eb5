"""A student 270 km away switches on a mock location at the school ten minutes after an honest fix."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.roll_call.scenario import RollCallScenario, create_scenario, pattern_pool
from tests.support.roll_call.student_phone import INSIDE, make_fixes

pytestmark = pytest.mark.clause("HN334-3.4")
EXPECTED = "second check"


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> AsyncIterator[RollCallScenario]:
    with pattern_pool() as pool:
        yield await create_scenario(app_context, owner, pool)


async def test_attack(scenario: RollCallScenario) -> None:
    student = await scenario.activate(scenario.school.students[0])
    launched = await scenario.launch()
    away = make_fixes((INSIDE[0] + 3.0, INSIDE[1]))
    await scenario.check_in(student, launched.roll_call.id, fixes=away)
    scenario.clock.at += timedelta(minutes=10)
    found = await scenario.verify(await scenario.check_in(student, launched.roll_call.id, first=50))
    verdict = "second check" if found.reasons == ["location_doubtful"] else found.finding
    assert verdict == EXPECTED

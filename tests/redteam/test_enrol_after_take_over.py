"""Someone who took over a student's account by a new phone gives consent to enrol another face at once."""

from collections.abc import AsyncIterator

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.identity.scenario import IdentityScenario, identity_scenario, problem_code

pytestmark = pytest.mark.clause("HN334-3.1")
EXPECTED = "refused: cool_down_active"


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> AsyncIterator[IdentityScenario]:
    async with identity_scenario(app_context, owner) as scenario:
        yield scenario


async def test_attack(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    await scenario.bind_phone(student)
    attacker = await scenario.bind_phone(student)
    answer = await attacker.consent("face_use", "face-use-1")
    assert f"refused: {problem_code(answer.text)}" == EXPECTED

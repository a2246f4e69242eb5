"""Someone with a student's SIM card, name and ID number binds another phone and gives face consents to enrol another face."""

from collections.abc import AsyncIterator

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.identity.scenario import IdentityScenario, identity_scenario, problem_code

pytestmark = pytest.mark.clause("HN334-3.1")
EXPECTED = "refused: rebinding_check_needed"


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> AsyncIterator[IdentityScenario]:
    async with identity_scenario(app_context, owner) as scenario:
        yield scenario


async def test_attack(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    own = await scenario.bind_phone(student)
    attacker = scenario.phone()
    answer = await attacker.confirm(*await scenario.request_code(attacker, student))
    assert (await own.get("/v1/me")).status_code == 200
    assert f"refused: {problem_code(answer.text)}" == EXPECTED

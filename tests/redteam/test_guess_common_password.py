"""A registrar activates the account with one of the commonest passwords, which guessers try first."""

from collections.abc import AsyncIterator

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.identity.scenario import IdentityScenario, identity_scenario, problem_code
from tests.support.identity.staff_user import create_invited_user

pytestmark = pytest.mark.clause("HN334-2.3")
EXPECTED = "refused: password_too_common"


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> AsyncIterator[IdentityScenario]:
    async with identity_scenario(app_context, owner) as scenario:
        yield scenario


async def test_attack(scenario: IdentityScenario) -> None:
    invited = await create_invited_user(scenario, "registrar", scenario.school.id)
    answer = await invited.begin(password="123456789012")
    assert f"refused: {problem_code(answer.text)}" == EXPECTED

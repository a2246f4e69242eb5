"""A stranger tells from the answers which login names exist, by entering wrong passwords until the delay starts."""

from collections.abc import AsyncIterator

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.identity.scenario import IdentityScenario, identity_scenario
from tests.support.identity.staff_user import create_staff_user, new_login

pytestmark = pytest.mark.clause("HN334-2.3")
EXPECTED = "no difference"


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> AsyncIterator[IdentityScenario]:
    async with identity_scenario(app_context, owner) as scenario:
        yield scenario


async def test_attack(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    answers = []
    for login in (registrar.login, new_login()):
        tried = [await registrar.sign_in(login=login, password="guess", totp="000000") for _ in range(8)]
        answers.append([(each.status_code, each.text, each.headers.get("retry-after")) for each in tried])
    assert ("no difference" if answers[0] == answers[1] else "login names can be told apart") == EXPECTED

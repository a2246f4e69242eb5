"""A stranger enters wrong passwords for the province's login name all day, so that its administrator cannot sign in."""

from collections.abc import AsyncIterator

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.identity.scenario import IdentityScenario, identity_scenario
from tests.support.identity.staff_user import create_staff_user

pytestmark = pytest.mark.clause("HN334-2.3")
EXPECTED = "signed in"


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> AsyncIterator[IdentityScenario]:
    async with identity_scenario(app_context, owner) as scenario:
        yield scenario


async def test_attack(scenario: IdentityScenario) -> None:
    province = await create_staff_user(scenario, "province", scenario.world.province.id)
    device = province.tokens["device_token"]
    guesses = [await province.sign_in(password="guess", totp="000000") for _ in range(30)]
    assert guesses[-1].status_code == 429
    answer = await province.sign_in(device_token=device)
    assert ("signed in" if answer.is_success else answer.json()["code"]) == EXPECTED

"""One administrator resets the authenticator of a colleague alone, to sign in as that colleague."""

from collections.abc import AsyncIterator

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.identity.scenario import IdentityScenario, identity_scenario, problem_code
from tests.support.identity.staff_user import create_staff_user

pytestmark = pytest.mark.clause("HN334-2.3")
EXPECTED = "refused: not_permitted"


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> AsyncIterator[IdentityScenario]:
    async with identity_scenario(app_context, owner) as scenario:
        yield scenario


async def test_attack(scenario: IdentityScenario) -> None:
    colleague = await create_staff_user(scenario, "registrar", scenario.school.id)
    attacker = await create_staff_user(scenario, "registrar", scenario.school.id)
    path = f"/v1/accounts/{colleague.account_id}/authenticator-resets"
    reset = (await attacker.post(path, {"reason": "本人手机丢失"})).json()
    answer = await attacker.post(f"/v1/authenticator-resets/{reset['id']}/decision", {"outcome": "approved"})
    assert (await colleague.get("/v1/me")).status_code == 200
    assert f"refused: {problem_code(answer.text)}" == EXPECTED

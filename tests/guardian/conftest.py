"""A student with a guardian, and the API with the clock of the scenario, for each test."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from httpx import ASGITransport, AsyncClient

from backend.app import create_app
from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.guardian import GuardianApi, GuardianScenario
from tests.support.standing.scenario import create_standing_scenario


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> GuardianScenario:
    return GuardianScenario(await create_standing_scenario(app_context, owner))


@pytest.fixture
async def api(scenario: GuardianScenario) -> AsyncIterator[GuardianApi]:
    clock = scenario.standing.roll_call_scenario.clock
    app_context = replace(scenario.standing.app_context, clock=clock)
    transport = ASGITransport(create_app(app_context), raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://127.0.0.1:8000/mobile") as http:
        yield GuardianApi(scenario, http)


@pytest.fixture
async def token(scenario: GuardianScenario, api: GuardianApi) -> str:
    await scenario.add_guardian()
    await scenario.answer()
    return await api.issue()

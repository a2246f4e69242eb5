"""A standing scenario for each test."""

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.standing.scenario import StandingScenario, create_standing_scenario


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> StandingScenario:
    return await create_standing_scenario(app_context, owner)

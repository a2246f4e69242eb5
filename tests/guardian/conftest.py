"""A student with a guardian, for each test."""

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.guardian import GuardianScenario
from tests.support.standing.scenario import create_standing_scenario


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> GuardianScenario:
    return GuardianScenario(await create_standing_scenario(app_context, owner))

"""A new appeal scenario for each test."""

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.appeal import AppealScenario
from tests.support.standing.scenario import create_standing_scenario


@pytest.fixture
async def appeals(app_context: AppContext, owner: Database) -> AppealScenario:
    return AppealScenario(await create_standing_scenario(app_context, owner))

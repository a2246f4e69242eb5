"""Fixtures for tests of aid."""

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.aid import AidScenario
from tests.support.standing.scenario import create_standing_scenario


@pytest.fixture
async def aid(app_context: AppContext, owner: Database) -> AidScenario:
    """A scenario of its own for each test."""
    return AidScenario(await create_standing_scenario(app_context, owner))

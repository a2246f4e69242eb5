"""The scenario of the identity tests."""

from collections.abc import AsyncIterator

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.identity.scenario import IdentityScenario, identity_scenario


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> AsyncIterator[IdentityScenario]:
    """A new sample province with both APIs."""
    async with identity_scenario(app_context, owner) as scenario:
        yield scenario

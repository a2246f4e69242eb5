"""The scenario of the identity tests."""

from collections.abc import AsyncIterator

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.identity.scenario import Stage, staged


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> AsyncIterator[Stage]:
    """A new sample province with both APIs."""
    async with staged(app_context, owner) as scenario:
        yield scenario

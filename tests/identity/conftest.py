"""A stage for each test of identity."""

from collections.abc import AsyncIterator

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.identity.scenario import Stage, staged


@pytest.fixture
async def stage(app_context: AppContext, owner: Database) -> AsyncIterator[Stage]:
    """A new world with both APIs."""
    async with staged(app_context, owner) as stage:
        yield stage

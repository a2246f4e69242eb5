"""A stage for each test of identity."""

from collections.abc import AsyncIterator

import pytest

from backend.core.database import Database
from backend.core.runtime import Runtime
from tests.identity.stage import Stage, staged


@pytest.fixture
async def stage(runtime: Runtime, owner: Database) -> AsyncIterator[Stage]:
    """A new world with both APIs."""
    async with staged(runtime, owner) as stage:
        yield stage

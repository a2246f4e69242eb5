"""A registry for each test."""

import pytest

from backend.core.database import Database
from backend.core.runtime import Runtime
from tests.standing.registry import Registry, opened


@pytest.fixture
async def registry(runtime: Runtime, owner: Database) -> Registry:
    return await opened(runtime, owner)

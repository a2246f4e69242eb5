"""A standing scenario for each test."""

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.standing.scenario import Registry, opened


@pytest.fixture
async def registry(app_context: AppContext, owner: Database) -> Registry:
    return await opened(app_context, owner)

"""Fixtures of the people tests."""

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.leave import Desk, opened


@pytest.fixture
async def desk(app_context: AppContext, owner: Database) -> Desk:
    return await opened(app_context, owner)

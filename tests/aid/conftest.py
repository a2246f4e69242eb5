"""A registry with its aid for each test."""

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.aid import AidDesk
from tests.support.standing.scenario import opened


@pytest.fixture
async def desk(app_context: AppContext, owner: Database) -> AidDesk:
    return AidDesk(await opened(app_context, owner))

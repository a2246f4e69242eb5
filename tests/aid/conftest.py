"""A registry with its aid for each test."""

import pytest

from backend.core.database import Database
from backend.core.runtime import Runtime
from tests.aid.desk import AidDesk
from tests.standing.registry import opened


@pytest.fixture
async def desk(runtime: Runtime, owner: Database) -> AidDesk:
    return AidDesk(await opened(runtime, owner))

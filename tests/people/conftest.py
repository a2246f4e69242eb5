"""A desk for each test."""

import pytest

from backend.core.database import Database
from backend.core.runtime import Runtime
from tests.leave.desk import Desk, opened


@pytest.fixture
async def desk(runtime: Runtime, owner: Database) -> Desk:
    return await opened(runtime, owner)

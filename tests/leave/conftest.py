"""A desk for each test."""

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.leave import LeaveScenario, create_leave_scenario


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> LeaveScenario:
    return await create_leave_scenario(app_context, owner)

"""Fixtures of the people tests."""

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.leave import LeaveScenario, create_leave_scenario


@pytest.fixture
async def desk(app_context: AppContext, owner: Database) -> LeaveScenario:
    return await create_leave_scenario(app_context, owner)

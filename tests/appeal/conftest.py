"""A docket for each test."""

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.appeal import Docket
from tests.support.standing.scenario import opened


@pytest.fixture
async def docket(app_context: AppContext, owner: Database) -> Docket:
    return Docket(await opened(app_context, owner))

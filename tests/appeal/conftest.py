"""A docket for each test."""

import pytest

from backend.core.database import Database
from backend.core.runtime import Runtime
from tests.appeal.docket import Docket
from tests.standing.registry import opened


@pytest.fixture
async def docket(runtime: Runtime, owner: Database) -> Docket:
    return Docket(await opened(runtime, owner))

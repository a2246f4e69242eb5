"""One company for all tests of the suite."""

from collections.abc import AsyncIterator

import pytest

from backend.core.database import Database
from backend.core.runtime import Runtime
from tests.tenancy.company import Company, assembled


@pytest.fixture(scope="session")
async def company(runtime: Runtime, owner: Database) -> AsyncIterator[Company]:
    """Everybody, signed in."""
    async with assembled(runtime, owner) as company:
        yield company

"""One scenario for all tests of the package."""

from collections.abc import AsyncIterator, Iterator

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.tenancy.fixtures import Company, assembled


@pytest.fixture(scope="session")
async def company(app_context: AppContext, owner: Database) -> AsyncIterator[Company]:
    """Every account, signed in, with records of every kind."""
    async with assembled(app_context, owner) as company:
        yield company


@pytest.fixture(autouse=True)
def _restore_clock(company: Company) -> Iterator[None]:
    """Undo clock changes of a test: each authenticator code advances the clock by half a minute."""
    ahead = company.clock.ahead
    yield
    company.clock.ahead = ahead

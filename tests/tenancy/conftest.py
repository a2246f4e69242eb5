"""One company for all tests of the suite."""

from collections.abc import AsyncIterator, Iterator

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.tenancy.fixtures import Company, assembled


@pytest.fixture(scope="session")
async def company(app_context: AppContext, owner: Database) -> AsyncIterator[Company]:
    """Everybody, signed in."""
    async with assembled(app_context, owner) as company:
        yield company


@pytest.fixture(autouse=True)
def _time_goes_back(company: Company) -> Iterator[None]:
    """A code of an authenticator app costs half a minute; no test pays for another's."""
    ahead = company.clock.ahead
    yield
    company.clock.ahead = ahead

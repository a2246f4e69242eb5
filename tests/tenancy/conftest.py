"""One company for all tests of the suite."""

from collections.abc import AsyncIterator, Iterator

import pytest

from backend.core.database import Database
from backend.core.runtime import Runtime
from tests.tenancy.company import Company, assembled


@pytest.fixture(scope="session")
async def company(runtime: Runtime, owner: Database) -> AsyncIterator[Company]:
    """Everybody, signed in."""
    async with assembled(runtime, owner) as company:
        yield company


@pytest.fixture(autouse=True)
def _time_goes_back(company: Company) -> Iterator[None]:
    """A code of an authenticator app costs half a minute; no test pays for another's."""
    ahead = company.clock.ahead
    yield
    company.clock.ahead = ahead

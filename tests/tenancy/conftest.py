"""One scenario for all tests of the package."""

from collections.abc import AsyncIterator, Iterator

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.tenancy.fixtures import TenancyScenario, open_tenancy_scenario


@pytest.fixture(scope="session")
async def scenario(app_context: AppContext, owner: Database) -> AsyncIterator[TenancyScenario]:
    """Every account, signed in, with records of every kind."""
    async with open_tenancy_scenario(app_context, owner) as scenario:
        yield scenario


@pytest.fixture(autouse=True)
def _restore_clock(scenario: TenancyScenario) -> Iterator[None]:
    """Undo clock changes of a test: each authenticator code advances the clock by half a minute."""
    offset = scenario.clock.offset
    yield
    scenario.clock.offset = offset

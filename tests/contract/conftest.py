"""One company for the fuzzing, on the loop that its connections belong to."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from backend.core.database import Database
from backend.core.runtime import Runtime
from tests.contract.caller import Caller
from tests.tenancy.company import Company, assembled


@pytest.fixture(scope="session")
async def company(runtime: Runtime, owner: Database) -> AsyncIterator[Company]:
    """Everybody, signed in."""
    async with assembled(runtime, owner) as company:
        yield company


@pytest.fixture(scope="session")
async def caller(company: Company) -> Caller:
    """Sends generated cases from tests that are not coroutines."""
    return Caller(company, asyncio.get_running_loop())

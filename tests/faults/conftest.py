"""Fixtures of the interleaving tests: the roll call scenario and two concurrent clients."""

import os
from collections.abc import AsyncIterator

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from biometrics.pool import FacePool
from tests.faults.interleaving import ConcurrentClient, new_client
from tests.roll_call.conftest import face_pool
from tests.support.roll_call.scenario import RollCallScenario, create_scenario

__all__ = ["face_pool"]

ROUNDS = int(os.environ.get("DIANMING_FAULT_ROUNDS", "1"))
"""Number of statement orders tried per interleaving. `make faults` tries a hundred."""


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database, face_pool: FacePool) -> RollCallScenario:
    return await create_scenario(app_context, owner, face_pool)


@pytest.fixture(scope="session")
async def client_pair(app_context: AppContext) -> AsyncIterator[tuple[ConcurrentClient, ConcurrentClient]]:
    """Two clients, created once because compiled and prepared statements can be reused."""
    both = new_client("first", app_context), new_client("second", app_context)
    yield both
    for each in both:
        await each.database.close()


@pytest.fixture
def clients(
    scenario: RollCallScenario, client_pair: tuple[ConcurrentClient, ConcurrentClient]
) -> tuple[ConcurrentClient, ConcurrentClient]:
    """Two concurrent clients of the scenario."""
    for each in client_pair:
        each.use_scenario(scenario)
    return client_pair


@pytest.fixture(params=range(ROUNDS))
def order(request: pytest.FixtureRequest) -> int:
    """The seed that determines the order of statements."""
    seed: int = request.param
    return seed

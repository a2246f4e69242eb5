"""Fixtures of roll call tests: a scenario for each test, and one face process for all of them."""

from collections.abc import Iterator

import pytest
import structlog
from sqlalchemy import delete

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.process.logging import configure_logging
from backend.roll_call.tables import VerificationTask, VerificationThroughput
from biometrics.pool import FacePool
from tests.support.roll_call.scenario import RollCallScenario, create_scenario, pattern_pool


@pytest.fixture(scope="session")
def face_pool() -> Iterator[FacePool]:
    with pattern_pool() as pool:
        yield pool


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database, face_pool: FacePool) -> RollCallScenario:
    """A new province with two classes of three students in every school."""
    return await create_scenario(app_context, owner, face_pool)


@pytest.fixture(scope="module")
def plain_log() -> Iterator[None]:
    """Log tracebacks as JSON like a deployment; coloured tracebacks take seconds each."""
    configure_logging(as_json=True)
    yield
    structlog.reset_defaults()


@pytest.fixture
async def empty_queue(scenario: RollCallScenario) -> None:
    """Empty the queue; other tests leave tasks behind."""
    async with scenario.owner_transaction() as session:
        await session.execute(delete(VerificationTask))
        await session.execute(delete(VerificationThroughput))

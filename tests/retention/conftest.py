"""A roll call scenario for each test, in a database without expired data of earlier tests."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.retention.deletion import delete_expired
from backend.retention.tasks import KINDS
from biometrics.pool import FacePool
from tests.support.roll_call.scenario import Clock, RollCallScenario, create_scenario, pattern_pool
from tests.support.roll_call.student_phone import StudentWithPhone


@pytest.fixture(scope="session")
def face_pool() -> Iterator[FacePool]:
    with pattern_pool() as pool:
        yield pool


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database, face_pool: FacePool) -> RollCallScenario:
    """A new scenario, after all earlier data were deleted."""
    scenario = await create_scenario(app_context, owner, face_pool)
    await delete_expired(
        replace(scenario.app_context, clock=Clock(scenario.clock() + timedelta(days=400))), KINDS
    )
    return scenario


@pytest.fixture
async def student(scenario: RollCallScenario) -> StudentWithPhone:
    return await scenario.activate(scenario.school.students[0])

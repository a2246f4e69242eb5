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
from tests.support.roll_call.scenario import Clock, Stage, pattern_pool, staged
from tests.support.roll_call.student_phone import Candidate


@pytest.fixture(scope="session")
def face_pool() -> Iterator[FacePool]:
    with pattern_pool() as pool:
        yield pool


@pytest.fixture
async def stage(app_context: AppContext, owner: Database, face_pool: FacePool) -> Stage:
    """A new scenario, after all earlier data were deleted."""
    stage = await staged(app_context, owner, face_pool)
    await delete_expired(replace(stage.app_context, clock=Clock(stage.clock() + timedelta(days=400))), KINDS)
    return stage


@pytest.fixture
async def candidate(stage: Stage) -> Candidate:
    return await stage.activate(stage.school.students[0])

"""A stage of roll calls for each test, in a database where nothing of earlier tests is due."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from backend.core.database import Database
from backend.core.runtime import Runtime
from backend.retention.deleting import delete_due
from backend.retention.jobs import KINDS
from biometrics.pool import FacePool
from tests.roll_call.stage import Clock, Stage, pattern_pool, staged


@pytest.fixture(scope="session")
def face_pool() -> Iterator[FacePool]:
    with pattern_pool() as pool:
        yield pool


@pytest.fixture
async def stage(runtime: Runtime, owner: Database, face_pool: FacePool) -> Stage:
    """A new world, after everything before it was swept away."""
    stage = await staged(runtime, owner, face_pool)
    await delete_due(replace(stage.runtime, clock=Clock(stage.clock() + timedelta(days=400))), KINDS)
    return stage

"""A stage for each test of roll calls, and one face process for all of them."""

from collections.abc import Iterator

import pytest

from backend.core.database import Database
from backend.core.runtime import Runtime
from biometrics.pool import FacePool
from tests.roll_call.stage import Stage, pattern_pool, staged


@pytest.fixture(scope="session")
def face_pool() -> Iterator[FacePool]:
    with pattern_pool() as pool:
        yield pool


@pytest.fixture
async def stage(runtime: Runtime, owner: Database, face_pool: FacePool) -> Stage:
    """A new world with three students in each of two classes of every school."""
    return await staged(runtime, owner, face_pool)

"""The stage of the roll calls' tests, and two actors on it; each form of the harness has its own length."""

import os
from collections.abc import AsyncIterator

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from biometrics.pool import FacePool
from tests.faults.interleaving import Actor, actor
from tests.roll_call.conftest import face_pool
from tests.support.roll_call.scenario import Stage, staged

__all__ = ["face_pool"]

ROUNDS = int(os.environ.get("DIANMING_FAULT_ROUNDS", "1"))
"""How many orders of each dangerous interleaving are tried; `make faults` tries a hundred."""


@pytest.fixture
async def stage(app_context: AppContext, owner: Database, face_pool: FacePool) -> Stage:
    return await staged(app_context, owner, face_pool)


@pytest.fixture(scope="session")
async def engines(app_context: AppContext) -> AsyncIterator[tuple[Actor, Actor]]:
    """Opened once: what an engine has compiled and prepared serves every order."""
    both = actor("first", app_context), actor("second", app_context)
    yield both
    for each in both:
        await each.database.close()


@pytest.fixture
def actors(stage: Stage, engines: tuple[Actor, Actor]) -> tuple[Actor, Actor]:
    """Two who act at once on the stage."""
    for each in engines:
        each.enter(stage)
    return engines


@pytest.fixture(params=range(ROUNDS))
def order(request: pytest.FixtureRequest) -> int:
    """The seed of one order of statements."""
    seed: int = request.param
    return seed

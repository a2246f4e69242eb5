"""The marks of warning at which leave is told of, each once (HN334-3.5b)."""

import pytest

from backend.core.database import Database
from backend.core.runtime import Runtime
from backend.standing.tables import StandingWarning
from tests.leave.desk import Desk
from tests.standing.registry import opened

pytestmark = pytest.mark.clause("HN334-3.5b")


async def test_the_tenth_thirteenth_and_fifteenth_day_of_leave_warn_once_each(
    runtime: Runtime, owner: Database
) -> None:
    registry = await opened(runtime, owner)
    desk = Desk(registry.stage)
    await desk.approved(days=15)
    counted = []
    for _ in range(15):
        for _ in range(2):
            await registry.reassess()
        counted.append(len(await registry.events("StudentWarned")))
        desk.set_clock(days=1, hour=9)
    assert counted == [0] * 9 + [1] * 3 + [2] * 2 + [3]
    assert {row.code for row in await registry.rows(StandingWarning)} == {"leave_days_used"}

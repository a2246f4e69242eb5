"""The marks of warning at which leave is told of, each once (HN334-3.5b)."""

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.standing.store.tables import StandingWarningRecord
from tests.support.leave import LeaveScenario
from tests.support.standing.scenario import create_standing_scenario

pytestmark = pytest.mark.clause("HN334-3.5b")


async def test_days_ten_thirteen_and_fifteen_warn_once_each(app_context: AppContext, owner: Database) -> None:
    standing_scenario = await create_standing_scenario(app_context, owner)
    scenario = LeaveScenario(standing_scenario.roll_call_scenario)
    await scenario.request_approved(days=15)
    counted = []
    for _ in range(15):
        for _ in range(2):
            await standing_scenario.recompute()
        counted.append(len(await standing_scenario.events("StudentWarned")))
        scenario.set_clock(days=1, hour=9)
    assert counted == [0] * 9 + [1] * 3 + [2] * 2 + [3]
    assert {row.code for row in await standing_scenario.rows(StandingWarningRecord)} == {"leave_days_used"}

"""A standing scenario for each test."""

from dataclasses import replace
from datetime import date

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.policy import load_policies
from backend.standing.change_requests.policy import ChangePolicy, HighestLevel
from tests.support.standing.scenario import StandingScenario, create_standing_scenario


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> StandingScenario:
    return await create_standing_scenario(app_context, owner)


@pytest.fixture
def province_approves_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes go up to the province, as some do in Shandong."""
    law = ChangePolicy.of(load_policies().at(date(2025, 10, 13), "410100"))
    usual = dict.fromkeys(law.kinds, HighestLevel.PROVINCE)
    monkeypatch.setattr(ChangePolicy, "of", lambda _: replace(law, usual=usual))

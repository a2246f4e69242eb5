"""Someone between phone and server withholds the first send of an envelope and delivers it later, without the key."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.roll_call.mobile_client import MobileClient, open_mobile_client

pytestmark = pytest.mark.clause("HN334-3.4")
EXPECTED = "refused: proof_clock_wrong"


@pytest.fixture
async def api(app_context: AppContext, owner: Database) -> AsyncIterator[MobileClient]:
    async with open_mobile_client(app_context, owner) as api:
        yield api


async def test_attack(api: MobileClient) -> None:
    victim = await api.scenario.activate(api.scenario.school.students[0])
    roll_call_id = (await api.scenario.launch()).roll_call.id
    captured = await api.signed_with_proof(victim, roll_call_id)
    api.scenario.clock.at += timedelta(seconds=61)
    answer = await api.envelope_alone(victim, roll_call_id, captured)
    verdict = "accepted" if answer.is_success else f"refused: {answer.json()['code']}"
    assert verdict == EXPECTED
    assert await api.scenario.count_submissions(victim) == 0
    assert await api.scenario.load_refusals(victim) == []

"""Someone between phone and server captures the first send of an envelope and repeats it, with all that was said since."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.roll_call.mobile_client import MobileClient, open_mobile_client
from tests.support.roll_call.student_phone import StudentWithPhone

pytestmark = pytest.mark.clause("HN334-3.4")
EXPECTED = "refused: proof_replayed"


@pytest.fixture
async def api(app_context: AppContext, owner: Database) -> AsyncIterator[MobileClient]:
    async with open_mobile_client(app_context, owner) as api:
        yield api


@pytest.fixture
async def victim(api: MobileClient) -> StudentWithPhone:
    return await api.scenario.activate(api.scenario.school.students[0])


@pytest.fixture
async def roll_call_id(api: MobileClient) -> UUID:
    return (await api.scenario.launch()).roll_call.id


def verdict(answer: httpx.Response) -> str:
    return "accepted" if answer.is_success else f"refused: {answer.json()['code']}"


async def test_attack_after_the_receipt(
    api: MobileClient, victim: StudentWithPhone, roll_call_id: UUID
) -> None:
    captured = await api.signed_with_proof(victim, roll_call_id)
    assert (await api.envelope_alone(victim, roll_call_id, captured)).status_code == 201
    assert verdict(await api.envelope_alone(victim, roll_call_id, captured)) == EXPECTED
    assert await api.scenario.count_submissions(victim) == 1


async def test_attack_after_the_phone_sent_it_again(
    api: MobileClient, victim: StudentWithPhone, roll_call_id: UUID
) -> None:
    """The first send was withheld, so its proof is unused; the phone has sent the envelope with a new proof."""
    captured = await api.signed_with_proof(victim, roll_call_id)
    token = victim.phone.token
    assert (await api.envelope(victim, roll_call_id, captured)).status_code == 201
    victim.phone.token = token
    assert verdict(await api.envelope_alone(victim, roll_call_id, captured)) == EXPECTED
    assert await api.scenario.count_submissions(victim) == 1


async def test_attack_with_the_word_of_a_busy_server(
    api: MobileClient, victim: StudentWithPhone, roll_call_id: UUID
) -> None:
    captured = await api.signed_with_proof(victim, roll_call_id)
    app_context = api.scenario.app_context
    app_context.settings = app_context.settings.model_copy(update={"intake_max_queue": 0})
    word = (await api.envelope_alone(victim, roll_call_id, captured)).json()["attempted"]
    app_context.settings = app_context.settings.model_copy(update={"intake_max_queue": 100})
    api.scenario.clock.at += timedelta(seconds=30)
    assert verdict(await api.envelope_alone(victim, roll_call_id, captured, attempted=word)) == EXPECTED
    assert await api.scenario.count_submissions(victim) == 0

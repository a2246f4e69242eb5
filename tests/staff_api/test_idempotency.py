"""A POST that is sent again with the same Idempotency-Key takes effect once."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx import Response
from sqlalchemy import func, select, update

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.tables import IdempotencyKey
from backend.core.web.idempotency import KEPT_FOR
from backend.roll_call.tables import RollCall
from backend.staff_api.roll_calls.roll_calls import router
from tests.support.province import registrar_account
from tests.support.roll_call.scenario import WINDOW, RollCallScenario, create_scenario
from tests.support.staff_client import StaffClient, staff_client

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> RollCallScenario:
    return await create_scenario(app_context, owner)


@pytest.fixture
def registrar(scenario: RollCallScenario) -> Actor:
    return registrar_account(scenario.school)


@pytest.fixture
async def client(scenario: RollCallScenario) -> AsyncIterator[StaffClient]:
    client = staff_client(scenario.app_context, router)
    async with client.http:
        yield client


async def launch(
    client: StaffClient, scenario: RollCallScenario, actor: Actor, key: str | None, **changes: Any
) -> Response:
    opens = scenario.clock()
    body = {
        "kind": "school_own",
        "title": "早点名",
        "opens_at": opens.isoformat(),
        "closes_at": (opens + WINDOW).isoformat(),
        "audience": {"unit_ids": [str(scenario.school.id)]},
    }
    headers = {"content-type": "application/json"} | ({} if key is None else {"Idempotency-Key": key})
    content = json.dumps(body | changes)
    return await client.send(actor, "POST", "/v1/roll-calls", content=content, headers=headers)


async def count_roll_calls(scenario: RollCallScenario) -> int:
    async with scenario.owner_transaction() as session:
        launched = select(func.count()).where(RollCall.launcher_id == scenario.school.id)
        return await session.scalar(launched) or 0


async def test_repeated_launch_makes_one_roll_call_and_answers_the_same(
    client: StaffClient, scenario: RollCallScenario, registrar: Actor
) -> None:
    first = await launch(client, scenario, registrar, KEY)
    again = await launch(client, scenario, registrar, f'"{KEY}"')
    assert first.status_code == again.status_code == 201, first.text
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert await count_roll_calls(scenario) == 1


async def test_concurrent_requests_with_one_key_make_one_roll_call(
    client: StaffClient, scenario: RollCallScenario, registrar: Actor
) -> None:
    answers = await asyncio.gather(*(launch(client, scenario, registrar, KEY) for _ in range(4)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert await count_roll_calls(scenario) == 1
    assert (await launch(client, scenario, registrar, KEY)).status_code == 201


async def test_key_of_another_request_is_refused(
    client: StaffClient, scenario: RollCallScenario, registrar: Actor
) -> None:
    await launch(client, scenario, registrar, KEY)
    other = await launch(client, scenario, registrar, KEY, title="晚点名")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_refused_request_does_not_use_up_the_key(
    client: StaffClient, scenario: RollCallScenario, registrar: Actor
) -> None:
    late = scenario.clock() - WINDOW
    refused = await launch(client, scenario, registrar, KEY, opens_at=late.isoformat())
    assert refused.status_code == 422
    assert (await launch(client, scenario, registrar, KEY)).status_code == 201


async def test_keys_of_two_accounts_are_apart(
    client: StaffClient, scenario: RollCallScenario, registrar: Actor
) -> None:
    first = await launch(client, scenario, registrar, KEY)
    second = await launch(client, scenario, registrar_account(scenario.school), KEY)
    assert first.json()["id"] != second.json()["id"]


async def test_request_without_a_recorded_response_is_not_repeated(
    client: StaffClient, scenario: RollCallScenario, registrar: Actor
) -> None:
    """As after a stop between the commit and the answer."""
    await launch(client, scenario, registrar, KEY)
    async with scenario.owner_transaction() as session:
        mine = IdempotencyKey.account_id == registrar.account_id
        await session.execute(update(IdempotencyKey).where(mine).values(status=None, response=None))
    again = await launch(client, scenario, registrar, KEY)
    assert (again.status_code, again.json()["code"]) == (409, "response_not_recorded")
    assert await count_roll_calls(scenario) == 1


async def test_key_is_forgotten_after_a_day(
    client: StaffClient, scenario: RollCallScenario, registrar: Actor
) -> None:
    await launch(client, scenario, registrar, KEY)
    async with scenario.owner_transaction() as session:
        mine = IdempotencyKey.account_id == registrar.account_id
        old = scenario.clock() - KEPT_FOR - WINDOW
        await session.execute(update(IdempotencyKey).where(mine).values(created_at=old))
    again = await launch(client, scenario, registrar, KEY)
    assert "idempotency-replayed" not in again.headers


@pytest.mark.parametrize("key", ["", "x" * 65, "a b", "a\x7fb"])
async def test_unusable_key_is_refused(
    client: StaffClient, scenario: RollCallScenario, registrar: Actor, key: str
) -> None:
    answer = await launch(client, scenario, registrar, key)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed_request")
    assert "Idempotency-Key" in str(answer.json()["errors"])


async def test_recorded_response_is_encrypted(
    client: StaffClient, scenario: RollCallScenario, registrar: Actor
) -> None:
    await launch(client, scenario, registrar, KEY)
    async with scenario.owner_transaction() as session:
        sealed = await session.scalar(
            select(IdempotencyKey.response).where(IdempotencyKey.account_id == registrar.account_id)
        )
    assert sealed is not None
    assert "早点名".encode() not in sealed

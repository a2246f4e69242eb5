"""`dianming progress`: compares counters with the outcomes and recounts them."""

import asyncio
import json

import pytest
from typer.testing import CliRunner, Result

from backend.commands.progress_command import app
from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.roll_call.progress.counters import flush_counters
from backend.roll_call.tables import OutcomeCount
from tests.support.roll_call.scenario import MICROSECOND, RollCallScenario, create_scenario


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> RollCallScenario:
    return await create_scenario(app_context, owner)


async def run(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments))


@pytest.mark.usefixtures("environment")
async def test_wrong_counter_is_reported_and_recounted(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    scenario.clock.at = launched.roll_call.closes_at + MICROSECOND
    await scenario.settle(launched.roll_call)
    roll_call_id, klass = str(launched.roll_call.id), scenario.school.classes[0]
    async with scenario.app_context.database.transaction(Scope.none()) as session:
        await flush_counters(session)
    assert (await run("check", roll_call_id)).exit_code == 0
    async with scenario.owner_transaction() as session:
        (await session.get_one(OutcomeCount, (launched.roll_call.id, klass.id))).missed -= 1
    wrong = await run("check", roll_call_id, "--json")
    assert wrong.exit_code == 1
    assert json.loads(wrong.stdout)["differences"] == [{"class_id": str(klass.id), "excess": {"missed": -1}}]
    assert "recount" in (await run("check", roll_call_id)).stdout
    assert "一致" in (await run("recount", roll_call_id)).stdout
    assert (await run("check", roll_call_id)).exit_code == 0


@pytest.mark.usefixtures("environment")
async def test_unknown_roll_call_is_reported_as_not_found() -> None:
    result = await run("check", str(new_id()), "--json")
    assert (result.exit_code, json.loads(result.stdout)["error"]["code"]) == (2, "not_found")

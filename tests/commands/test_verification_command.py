"""`dianming verification`: the verification queue on the command line."""

import asyncio
import json

import pytest
from sqlalchemy import delete
from typer.testing import CliRunner, Result

from backend.commands.verification_command import app
from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.roll_call.tables import VerificationTask, VerificationThroughput
from tests.staff_api.test_verification import create_dead_letters
from tests.support.roll_call.scenario import RollCallScenario, create_scenario


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> RollCallScenario:
    scenario = await create_scenario(app_context, owner)
    async with scenario.owner_transaction() as session:
        await session.execute(delete(VerificationTask))
        await session.execute(delete(VerificationThroughput))
    return scenario


async def run(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments))


@pytest.mark.usefixtures("environment")
async def test_operator_lists_retries_and_measures(scenario: RollCallScenario) -> None:
    roll_call_id, submissions = await create_dead_letters(scenario, 2)
    listed = json.loads((await run("list", "--json")).stdout)["dead_letters"]
    assert {each["submission_id"] for each in listed} == {str(each) for each in submissions}
    assert "证据存储" in (await run("list", "--roll-call", str(roll_call_id))).stdout
    assert (await run("retry")).exit_code == 2
    assert json.loads((await run("retry", str(submissions[0]), "--json")).stdout) == {"retried": 1}
    second_retry = await run("retry", str(submissions[0]), "--json")
    assert (second_retry.exit_code, json.loads(second_retry.stdout)["error"]["code"]) == (2, "conflict")
    assert "1" in (await run("retry", "--roll-call", str(roll_call_id))).stdout
    metrics = json.loads((await run("gauge", "--json")).stdout)
    assert (metrics["waiting"], metrics["dead"], metrics["seconds_left"]) == (2, 0, None)
    assert "未知" in (await run("gauge")).stdout

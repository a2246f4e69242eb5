"""`dianming verification`: the queue at the command line."""

import asyncio
import json

import pytest
from sqlalchemy import delete
from typer.testing import CliRunner, Result

from backend.commands.verification_command import app
from backend.core.database import Database
from backend.core.runtime import Runtime
from backend.roll_call.tables import VerificationPace, VerificationTask
from tests.roll_call.stage import Stage, staged
from tests.staff_api.test_verification import given_up


@pytest.fixture
async def stage(runtime: Runtime, owner: Database) -> Stage:
    stage = await staged(runtime, owner)
    async with stage.arrange() as session:
        await session.execute(delete(VerificationTask))
        await session.execute(delete(VerificationPace))
    return stage


async def run(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments))


@pytest.mark.usefixtures("environment")
async def test_an_operator_lists_retries_and_measures_at_the_command_line(stage: Stage) -> None:
    roll_call_id, submissions = await given_up(stage, 2)
    listed = json.loads((await run("list", "--json")).stdout)["dead_letters"]
    assert {each["submission_id"] for each in listed} == {str(each) for each in submissions}
    assert "证据存储" in (await run("list", "--roll-call", str(roll_call_id))).stdout
    assert (await run("retry")).exit_code == 2
    assert json.loads((await run("retry", str(submissions[0]), "--json")).stdout) == {"retried": 1}
    twice = await run("retry", str(submissions[0]), "--json")
    assert (twice.exit_code, json.loads(twice.stdout)["error"]["code"]) == (2, "conflict")
    assert "1" in (await run("retry", "--roll-call", str(roll_call_id))).stdout
    found = json.loads((await run("gauge", "--json")).stdout)
    assert (found["waiting"], found["dead"], found["seconds_left"]) == (2, 0, None)
    assert "未知" in (await run("gauge")).stdout

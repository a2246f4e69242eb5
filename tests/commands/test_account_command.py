"""`dianming account`: resetting an account of the province by two persons."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from typer.testing import CliRunner, Result

from backend.commands.account_command import app
from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.identity.scenario import IdentityScenario, identity_scenario, problem_code
from tests.support.identity.staff_user import create_staff_user

pytestmark = [pytest.mark.usefixtures("environment"), pytest.mark.clause("HN334-2.3")]


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> AsyncIterator[IdentityScenario]:
    async with identity_scenario(app_context, owner) as scenario:
        yield scenario


async def reset(login: str, approved_by: str) -> Result:
    arguments = ["reset-authenticator", login, "--reason", "手机损坏", "--requested-by", "张三", "--json"]
    return await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--approved-by", approved_by])


async def test_two_persons_reset_the_authenticator_of_the_province(scenario: IdentityScenario) -> None:
    province = await create_staff_user(scenario, "province", scenario.world.province.id)
    alone = await reset(province.login, "张三")
    assert (alone.exit_code, json.loads(alone.stdout)["error"]["code"]) == (2, "bad_input")
    assert (await province.get("/v1/me")).status_code == 200
    result = await reset(province.login, "李四")
    assert result.exit_code == 0, result.output
    assert problem_code((await province.get("/v1/me")).text) == "session_revoked"
    province.code = json.loads(result.stdout)["activation_code"]
    for step in (province.begin, province.confirm, province.sign_in):
        answer = await step()
        assert answer.is_success, answer.text


async def test_accounts_below_the_province_are_not_reset_on_the_server(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    assert json.loads((await reset(registrar.login, "李四")).stdout)["error"]["code"] == "not_found"

"""`dianming retention`: delete expired data and show past runs."""

import asyncio
import json

import pytest
from typer.testing import CliRunner, Result

from backend.commands.retention_command import app
from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.retention.tasks import KINDS
from tests.support.province import create_sample_province

pytestmark = pytest.mark.usefixtures("environment")


async def run(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments))


async def test_run_reports_every_kind_and_show_lists_it(app_context: AppContext, owner: Database) -> None:
    await create_sample_province(owner, app_context.keys)
    result = await run("run", "--json")
    assert result.exit_code == 0, result.output
    kinds = [each["kind"] for each in json.loads(result.stdout)["runs"]]
    assert kinds == [each.name for each in KINDS]
    shown = await run("show", "--all", "--limit", str(len(kinds)), "--json")
    assert [each["kind"] for each in json.loads(shown.stdout)["runs"]] == kinds[::-1]
    assert all(each["items"] > 0 for each in json.loads((await run("show", "--json")).stdout)["runs"])
    assert "templates" in (await run("show", "--all")).stdout


async def test_seal_pictures_reports_how_many(app_context: AppContext) -> None:
    result = await run("seal-pictures", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"sealed": 0}

"""`dianming terms partitions`: reports missing partitions with exit code 1, and creates them."""

import asyncio
import json

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from backend.commands.terms_command import app
from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.tenancy import Scope
from tests.support.province import create_sample_province

pytestmark = pytest.mark.usefixtures("environment")


async def run(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["partitions", *arguments])


async def test_missing_partitions_are_reported_and_created(app_context: AppContext, owner: Database) -> None:
    world = await create_sample_province(owner, app_context.keys, classes=1, students=0)
    assert (await run()).exit_code == 0
    async with owner.transaction(Scope.none()) as session:
        named = text("SELECT definer.term_partition('reminder', :code)")
        part = await session.scalar(named, {"code": world.term_code})
        await session.execute(text(f"DROP TABLE term_partition.{part}"))
    lacking = [{"term_code": world.term_code, "table": "reminder"}]
    reported = await run("--json")
    assert (reported.exit_code, json.loads(reported.stdout)) == (1, {"lacking": lacking})
    created = await run("--make", "--json")
    assert (created.exit_code, json.loads(created.stdout)) == (0, {"made": lacking})
    assert (await run()).exit_code == 0

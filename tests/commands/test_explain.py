"""`dianming explain`: any case by its id, in both languages, audited, without a number of an identity document."""

import asyncio
import json
from uuid import UUID

import pytest
import typer
from sqlalchemy import select
from typer.testing import CliRunner, Result

from backend.commands import explain_command
from backend.core.errors import NotFound
from backend.core.ids import new_id
from backend.core.tables import AuditEntry
from backend.standing.store.tables import PromptRecord, StandingEntry, StandingWarningRecord
from tests.support.standing.replay import executed
from tests.support.standing.scenario import Registry

pytestmark = pytest.mark.clause("R13")

app = typer.Typer()
app.command()(explain_command.command)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


async def looks(registry: Registry, case_id: UUID) -> list[AuditEntry]:
    async with registry.stage.arrange() as session:
        found = await session.scalars(select(AuditEntry).where(AuditEntry.subject_id == str(case_id)))
        return [entry for entry in found if entry.action == "explanation.read"]


@pytest.mark.parametrize("table", [PromptRecord, StandingEntry, StandingWarningRecord])
async def test_any_case_is_found_by_its_id_and_the_look_is_audited(registry: Registry, table: type) -> None:
    await registry.misses(1)
    await registry.recompute()
    await executed(registry)
    row = (await registry.rows(table))[0]
    told = await explain_command.explain_case(registry.app_context, row.id)
    assert told["id"] == str(row.id)
    assert told["paragraphs"]
    assert len(await looks(registry, row.id)) == 1


async def test_no_number_of_an_identity_document_is_printed(registry: Registry) -> None:
    await executed(registry)
    [entry] = await registry.rows(StandingEntry)
    told = json.dumps(await explain_command.explain_case(registry.app_context, entry.id), ensure_ascii=False)
    assert registry.pupil.id_number not in told
    assert registry.pupil.student_number not in told


async def test_the_page_is_all_chinese_first_and_then_all_english(registry: Registry) -> None:
    await executed(registry)
    [entry] = await registry.rows(StandingEntry)
    page = explain_command._rendered(await explain_command.explain_case(registry.app_context, entry.id))
    chinese, _, english = page.partition("\n\nA change of standing")
    for heading in ("事实", "所用数字", "依据", "接下来"):
        assert f"\n{heading}\n" in chinese
    for heading in ("Facts", "Figures", "Rules", "What comes next"):
        assert f"\n{heading}\n" in english


async def test_an_id_of_nothing_is_not_found_and_leaves_no_look(registry: Registry) -> None:
    nothing = new_id()
    with pytest.raises(NotFound):
        await explain_command.explain_case(registry.app_context, nothing)
    assert await looks(registry, nothing) == []


@pytest.mark.usefixtures("environment")
async def test_the_command_itself_answers_in_json(registry: Registry) -> None:
    await registry.misses(2)
    await registry.recompute()
    [prompt] = await registry.rows(PromptRecord)
    answer = await asyncio.to_thread(run, prompt.id, "--json")
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["kind"] == "prompt"


@pytest.mark.usefixtures("environment")
async def test_an_unknown_id_has_a_stable_code_and_says_what_to_do() -> None:
    answer = await asyncio.to_thread(run, new_id(), "--json")
    assert answer.exit_code == 2
    refused = json.loads(answer.stdout)["error"]
    assert refused["code"] == "not_found"
    assert "编号" in refused["message"]


def test_what_is_no_id_is_bad_input() -> None:
    answer = run("张三", "--json")
    assert answer.exit_code == 2
    assert json.loads(answer.stdout)["error"]["code"] == "bad_id"

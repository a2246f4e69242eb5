"""`dianming explain`: any case by its id, in both languages, audited, without ID numbers."""

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
from tests.support.standing.replay import execute_by_expiry
from tests.support.standing.scenario import StandingScenario

pytestmark = pytest.mark.clause("R13")

app = typer.Typer()
app.command()(explain_command.command)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


async def read_accesses(standing_scenario: StandingScenario, case_id: UUID) -> list[AuditEntry]:
    async with standing_scenario.roll_call_scenario.owner_transaction() as session:
        entries = await session.scalars(select(AuditEntry).where(AuditEntry.subject_id == str(case_id)))
        return [entry for entry in entries if entry.action == "explanation.read"]


@pytest.mark.parametrize("table", [PromptRecord, StandingEntry, StandingWarningRecord])
async def test_case_of_any_kind_is_explained_and_audited(
    standing_scenario: StandingScenario, table: type
) -> None:
    await standing_scenario.misses(1)
    await standing_scenario.recompute()
    await execute_by_expiry(standing_scenario)
    row = (await standing_scenario.rows(table))[0]
    explanation = await explain_command.explain_case(standing_scenario.app_context, row.id)
    assert explanation["id"] == str(row.id)
    assert explanation["paragraphs"]
    assert len(await read_accesses(standing_scenario, row.id)) == 1


async def test_explanation_contains_no_id_number(standing_scenario: StandingScenario) -> None:
    await execute_by_expiry(standing_scenario)
    [entry] = await standing_scenario.rows(StandingEntry)
    explanation = json.dumps(
        await explain_command.explain_case(standing_scenario.app_context, entry.id), ensure_ascii=False
    )
    assert standing_scenario.pupil.id_number not in explanation
    assert standing_scenario.pupil.student_number not in explanation


async def test_page_is_in_chinese_then_in_english(standing_scenario: StandingScenario) -> None:
    await execute_by_expiry(standing_scenario)
    [entry] = await standing_scenario.rows(StandingEntry)
    page = explain_command._render(
        await explain_command.explain_case(standing_scenario.app_context, entry.id)
    )
    chinese, _, english = page.partition("\n\nA change of standing")
    for heading in ("事实", "所用数字", "依据", "接下来"):
        assert f"\n{heading}\n" in chinese
    for heading in ("Facts", "Figures", "Rules", "What comes next"):
        assert f"\n{heading}\n" in english


async def test_unknown_id_is_not_found_and_not_audited(standing_scenario: StandingScenario) -> None:
    unknown_id = new_id()
    with pytest.raises(NotFound):
        await explain_command.explain_case(standing_scenario.app_context, unknown_id)
    assert await read_accesses(standing_scenario, unknown_id) == []


@pytest.mark.usefixtures("environment")
async def test_command_prints_json(standing_scenario: StandingScenario) -> None:
    await standing_scenario.misses(2)
    await standing_scenario.recompute()
    [prompt] = await standing_scenario.rows(PromptRecord)
    answer = await asyncio.to_thread(run, prompt.id, "--json")
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["kind"] == "prompt"


@pytest.mark.usefixtures("environment")
async def test_unknown_id_has_a_stable_code_and_an_instruction() -> None:
    answer = await asyncio.to_thread(run, new_id(), "--json")
    assert answer.exit_code == 2
    error = json.loads(answer.stdout)["error"]
    assert error["code"] == "not_found"
    assert "编号" in error["message"]


def test_invalid_id_is_bad_input() -> None:
    answer = run("张三", "--json")
    assert answer.exit_code == 2
    assert json.loads(answer.stdout)["error"]["code"] == "bad_id"

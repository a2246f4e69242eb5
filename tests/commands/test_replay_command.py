"""`dianming replay`: the assessment at any time, and exit code 1 if the stored one differs."""

import asyncio
import json
from datetime import timedelta

import pytest
import typer
from typer.testing import CliRunner, Result

from backend.commands import replay_command
from backend.core.clock import legal_day
from backend.core.ids import new_id
from tests.support.standing.replay import execute_by_expiry, tamper
from tests.support.standing.scenario import StandingScenario

pytestmark = [pytest.mark.clause("R13"), pytest.mark.usefixtures("environment")]

app = typer.Typer()
app.command()(replay_command.command)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


async def run_in_thread(*arguments: object) -> Result:
    return await asyncio.to_thread(run, *arguments)


async def test_unchanged_student_has_no_differences(standing_scenario: StandingScenario) -> None:
    await execute_by_expiry(standing_scenario)
    answer = await run_in_thread(
        standing_scenario.pupil.id, "--at", standing_scenario.at.isoformat(), "--json"
    )
    assert answer.exit_code == 0, answer.output
    [student] = json.loads(answer.stdout)["students"]
    assert student["status"] == {"standing": "01", "study_form": "part_time"}
    assert student["differences"] == []
    assert student["prompts"][0]["state"] == "executed"


async def test_day_means_its_end_and_shows_the_assessment_of_that_time(
    standing_scenario: StandingScenario,
) -> None:
    await execute_by_expiry(standing_scenario)
    earlier_day = legal_day(standing_scenario.at - timedelta(days=19))
    answer = await run_in_thread(standing_scenario.pupil.id, "--at", earlier_day.isoformat(), "--json")
    [student] = json.loads(answer.stdout)["students"]
    assert student["status"]["study_form"] == "full_time"
    assert student["ledger"] == []
    assert [prompt["state"] for prompt in student["prompts"]] == ["running"]


async def test_difference_is_explained_and_exits_with_1(standing_scenario: StandingScenario) -> None:
    entry_id = await execute_by_expiry(standing_scenario)
    await tamper(
        standing_scenario, "UPDATE standing_entry SET outcome = 'withdrawal' WHERE id = :id", id=entry_id
    )
    answer = await run_in_thread(standing_scenario.pupil.id, "--at", standing_scenario.at.isoformat())
    assert answer.exit_code == 1
    assert "异动的内容不同" in answer.stdout
    assert str(entry_id) in answer.stdout


async def test_school_lists_only_students_who_differ(standing_scenario: StandingScenario) -> None:
    entry_id = await execute_by_expiry(standing_scenario)
    at = standing_scenario.at.isoformat()
    whole = await run_in_thread(standing_scenario.school.id, "--school", "--at", at, "--json")
    assert json.loads(whole.stdout)["replayed"] == len(standing_scenario.school.students)
    assert json.loads(whole.stdout)["students"] == []
    await tamper(
        standing_scenario, "UPDATE standing_entry SET outcome = 'withdrawal' WHERE id = :id", id=entry_id
    )
    whole = await run_in_thread(standing_scenario.school.id, "--school", "--at", at, "--json")
    assert whole.exit_code == 1
    assert [each["student_id"] for each in json.loads(whole.stdout)["students"]] == [
        str(standing_scenario.pupil.id)
    ]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("张三",), "bad_id"),
        ((new_id(), "--at", "昨天"), "bad_time"),
        ((new_id(), "--at", "2026-13-01"), "bad_time"),
    ],
)
def test_bad_input_has_a_stable_code(arguments: tuple[object, ...], code: str) -> None:
    answer = run(*arguments, "--json")
    assert answer.exit_code == 2
    assert json.loads(answer.stdout)["error"]["code"] == code


async def test_unknown_student_is_not_found() -> None:
    answer = await run_in_thread(new_id(), "--json")
    assert answer.exit_code == 2
    assert json.loads(answer.stdout)["error"]["code"] == "not_found"

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from backend.commands import clauses_command
from backend.policy import load_clauses

app = typer.Typer()
app.command("clauses")(clauses_command.command)
runner = CliRunner()


def test_json_lists_every_clause_with_code_and_tests() -> None:
    result = runner.invoke(app, ["--json"])
    payload = json.loads(result.stdout)
    assert result.exit_code == 0
    assert {clause["id"] for clause in payload["clauses"]} == load_clauses().ids
    assert payload["tests_scanned"] is True
    reading_7 = next(clause for clause in payload["clauses"] if clause["id"] == "R7")
    org = "backend/org"
    assert reading_7["code"] == [
        f"{org}/calendar.py",
        f"{org}/calendar_file.py",
        f"{org}/calendar_years.py",
    ]
    assert any(test.startswith("tests/org/test_calendar.py::") for test in reading_7["tests"])
    assert any(test.startswith("tests/law/HN334/deadlines.yaml::") for test in reading_7["tests"])


def test_table_names_clause_and_article() -> None:
    result = runner.invoke(app, [], env={"COLUMNS": "240"})
    assert result.exit_code == 0
    assert "HN334-4.1b" in result.stdout
    assert "三、4" in result.stdout


def test_ids_show_the_code_and_the_tests_of_their_clauses() -> None:
    result = runner.invoke(app, ["R7", "HN334-5.1"])
    assert result.exit_code == 0
    assert "测试 Test: tests/org/test_calendar.py::" in result.stdout
    assert "代码 Code: policies/henan/hn334.yaml" in result.stdout
    assert "HN334-4.1b" not in result.stdout


def test_unknown_id_is_refused() -> None:
    result = runner.invoke(app, ["HN334-9.9", "--json"])
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["code"] == "clause_unknown"


def test_table_says_what_a_partial_clause_lacks() -> None:
    result = runner.invoke(app, [], env={"COLUMNS": "400"})
    assert "The feed of changes and the gaokao eligibility exist;" in result.stdout


def test_missing_tests_folder_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clauses_command, "find_clause_marks", lambda root: None)
    assert "No tests/ here" in runner.invoke(app, []).stdout
    payload = json.loads(runner.invoke(app, ["--json"]).stdout)
    assert payload["tests_scanned"] is False


def test_invalid_registry_is_rejected_with_its_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(clauses_command, "policies_directory", lambda: tmp_path)
    result = runner.invoke(app, ["--json"])
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["code"] == "policy_invalid"

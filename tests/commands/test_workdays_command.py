import json

import pytest
from typer.testing import CliRunner

from backend.commands.workdays_command import app

runner = CliRunner()


@pytest.mark.clause("R7")
@pytest.mark.parametrize(
    ("start", "days", "expected"),
    [
        ("2025-09-26", "5", "2025-10-10"),
        ("2026-02-12", "5", "2026-02-26"),
        ("2025-09-01", "20", "2025-09-28"),
        ("2026-09-01", "20", "2026-09-29"),
        ("2026-09-01", "0", "2026-09-01"),
    ],
)
def test_result_is_one_json_object(start: str, days: str, expected: str) -> None:
    result = runner.invoke(app, ["add", start, days, "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"date": expected}


def test_text_result_is_the_date_alone() -> None:
    assert runner.invoke(app, ["add", "2025-09-26", "5"]).stdout == "2025-10-10\n"


@pytest.mark.parametrize(
    ("start", "days", "code"),
    [
        ("2025-02-30", "5", "bad_date"),
        ("20250926", "5", "bad_date"),
        ("2025-W39-5", "5", "bad_date"),
        ("2025-09-26T00:00", "5", "bad_date"),
        ("", "5", "bad_date"),
        ("2025-09-26", "-1", "negative_days"),
        ("2025-09-26", "five", "bad_number"),
        ("2025-09-26", "1.5", "bad_number"),
        ("2025-09-26", "1_0", "bad_number"),
        ("2026-12-28", "5", "calendar_year_missing"),
        ("2003-12-31", "0", "calendar_year_missing"),
        ("9999-12-31", "1", "calendar_year_missing"),
    ],
)
def test_bad_input_exits_with_2_and_a_code(start: str, days: str, code: str) -> None:
    result = runner.invoke(app, ["add", start, days, "--json"])
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["code"] == code


def test_error_without_json_goes_to_stderr_only() -> None:
    result = runner.invoke(app, ["add", "2026-12-28", "5"])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "2027" in result.stderr

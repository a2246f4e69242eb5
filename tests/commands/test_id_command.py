import json

import pytest
from typer.testing import CliRunner

from backend.commands.id_command import app

runner = CliRunner()


@pytest.mark.parametrize(
    ("number", "valid", "code"),
    [
        ("11010519491231002X", True, None),
        ("11010519491231002x", True, None),
        ("110105194912310021", False, "id_number_check_digit"),
        ("garbage", False, "id_number_length"),
        ("", False, "number_empty"),
        ("汉字" * 200, False, "id_number_length"),
    ],
)
def test_any_argument_has_a_json_result(number: str, valid: bool, code: str | None) -> None:
    result = runner.invoke(app, ["check", number, "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"valid": valid, "code": code}


def test_defect_is_explained_in_both_languages() -> None:
    result = runner.invoke(app, ["check", "110105194912310021"])
    assert result.exit_code == 0
    assert "校验位" in result.stdout
    assert "check digit" in result.stdout


def test_valid_number_is_confirmed() -> None:
    assert "有效" in runner.invoke(app, ["check", "11010519491231002X"]).stdout

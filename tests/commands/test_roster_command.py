import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from backend.commands.roster_command import app
from backend.exchange.roster.generator import generate_students, plan_school
from backend.exchange.roster.writing import write_roster

runner = CliRunner()


def run(*arguments: object) -> Result:
    return runner.invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(("form", "suffix"), [("xlsx", "xlsx"), ("csv-utf8", "csv"), ("csv-gb18030", "csv")])
@pytest.mark.parametrize("variant", ["national", "national-2022"])
def test_a_generated_roster_is_importable(tmp_path: Path, form: str, suffix: str, variant: str) -> None:
    out = tmp_path / f"roster.{suffix}"
    made = run("generate", out, "--students", 120, "--format", form, "--variant", variant, "--json")
    assert made.exit_code == 0
    assert json.loads(made.stdout)["students"] == 120
    checked = run("import", out, "--dry-run", "--json")
    told = json.loads(checked.stdout)
    assert checked.exit_code == 0
    assert (told["importable"], told["rows"], told["errors"], told["warnings"]) == (True, 120, 0, 0)


def spoiled_roster(path: Path) -> Path:
    [first, *rest] = generate_students(1, [plan_school("4141000001", "示例", students=40)])
    write_roster(path, [{**first, "姓名": "", "身份证件号": "123"}, *rest], variant="national", form="xlsx")
    return path


def test_row_errors_are_an_answer_not_a_refusal(tmp_path: Path) -> None:
    result = run("import", spoiled_roster(tmp_path / "a.xlsx"), "--dry-run", "--json", "--show", 1)
    told = json.loads(result.stdout)
    assert result.exit_code == 0
    assert told["importable"] is False
    assert told["errors"] == sum(told["errors_by_code"].values()) >= 2
    [shown] = told["first_errors"]
    assert (shown["sheet"], shown["row"], shown["letter"], shown["column"]) == ("学生信息", 2, "A", "姓名")


def test_a_person_reads_the_findings_and_how_many_are_not_listed(tmp_path: Path) -> None:
    result = run("import", spoiled_roster(tmp_path / "a.xlsx"), "--dry-run", "--show", 1)
    assert result.exit_code == 0
    assert "学生信息!A2 姓名" in result.stdout
    assert "未列出" in result.stdout
    assert "不能导入" in result.stdout


def test_an_unreadable_file_is_refused_with_a_code(tmp_path: Path) -> None:
    (tmp_path / "old.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    for name, code in (("old.xls", "roster_kind_unsupported"), ("none.xlsx", "roster_missing")):
        result = run("import", tmp_path / name, "--dry-run", "--json")
        assert result.exit_code == 2
        assert json.loads(result.stdout)["error"]["code"] == code
    said = run("import", tmp_path / "old.xls", "--dry-run")
    assert said.exit_code == 2
    assert said.stdout == ""
    assert "另存为" in said.stderr


def test_the_empty_template_is_written_and_holds_nobody(tmp_path: Path) -> None:
    out = tmp_path / "template.xlsx"
    assert run("template", out, "--variant", "national-2022", "--json").exit_code == 0
    result = run("import", out, "--dry-run")
    assert result.exit_code == 0
    assert "没有学生" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("generate", "{}/a.txt"), "file_name_suffix"),
        (("template", "{}/a.csv"), "file_name_suffix"),
        (("generate", "{}/none/a.xlsx"), "file_unusable"),
        (("generate", "{}/none/a.csv", "--format", "csv-utf8"), "file_unusable"),
        (("generate", "{}/a.xlsx", "--students", "70"), "class_sizes"),
        (("generate", "{}/a.xlsx", "--school-code", "12"), "school_code_shape"),
    ],
)
def test_bad_arguments_are_refused_with_a_code(tmp_path: Path, arguments: tuple[str, ...], code: str) -> None:
    result = run(*(argument.format(tmp_path) for argument in arguments), "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["code"] == code

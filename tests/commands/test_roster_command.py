import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner, Result

from backend import cli
from backend.commands.roster_command import app
from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.tables import AuditEntry
from backend.core.tenancy import Scope
from backend.exchange.roster.generator import generate_students, plan_school
from backend.exchange.roster.writer import write_roster
from backend.settings import Settings, get_settings
from tests.support.environment import settings_environment
from tests.support.province import SampleSchool, create_sample_province

runner = CliRunner()


def run(*arguments: object) -> Result:
    return runner.invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(("form", "suffix"), [("xlsx", "xlsx"), ("csv-utf8", "csv"), ("csv-gb18030", "csv")])
@pytest.mark.parametrize("variant", ["national", "national-2022"])
def test_generated_roster_is_importable(tmp_path: Path, form: str, suffix: str, variant: str) -> None:
    out = tmp_path / f"roster.{suffix}"
    made = run("generate", out, "--students", 120, "--format", form, "--variant", variant, "--json")
    assert made.exit_code == 0
    assert json.loads(made.stdout)["students"] == 120
    checked = run("import", out, "--dry-run", "--json")
    payload = json.loads(checked.stdout)
    assert checked.exit_code == 0
    assert (payload["importable"], payload["rows"], payload["errors"], payload["warnings"]) == (
        True,
        120,
        0,
        0,
    )


def roster_with_errors(path: Path) -> Path:
    [first, *rest] = generate_students(1, [plan_school("4141000001", "示例", students=40)])
    write_roster(path, [{**first, "姓名": "", "身份证件号": "123"}, *rest], variant="national", form="xlsx")
    return path


def test_row_errors_are_a_result_not_an_error(tmp_path: Path) -> None:
    result = run("import", roster_with_errors(tmp_path / "a.xlsx"), "--dry-run", "--json", "--show", 1)
    payload = json.loads(result.stdout)
    assert result.exit_code == 0
    assert payload["importable"] is False
    assert payload["errors"] == sum(payload["errors_by_code"].values()) >= 2
    [shown] = payload["first_errors"]
    assert (shown["sheet"], shown["row"], shown["letter"], shown["column"]) == ("学生信息", 2, "A", "姓名")


def test_text_lists_findings_and_the_number_left_out(tmp_path: Path) -> None:
    result = run("import", roster_with_errors(tmp_path / "a.xlsx"), "--dry-run", "--show", 1)
    assert result.exit_code == 0
    assert "学生信息!A2 姓名" in result.stdout
    assert "未列出" in result.stdout
    assert "不能导入" in result.stdout


def test_import_requires_a_school(tmp_path: Path) -> None:
    result = run("import", roster_with_errors(tmp_path / "a.xlsx"), "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["code"] == "school_missing"


@pytest.fixture
async def school(
    owner: Database, app_context: AppContext, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SampleSchool]:
    """A school without students, and environment variables that point to its database."""
    for name, value in settings_environment(settings).items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    yield (await create_sample_province(owner, app_context.keys, classes=0, students=0)).school
    get_settings.cache_clear()


async def import_into(school: SampleSchool, *arguments: object) -> Result:
    """Run in a thread, since the command starts its own event loop."""
    return await asyncio.to_thread(run, "import", *arguments, "--school", school.unit.code, "--json")


async def test_second_import_of_the_same_file_changes_nothing(
    school: SampleSchool, owner: Database, tmp_path: Path
) -> None:
    path = tmp_path / "roster.csv"
    plan = plan_school(school.unit.code, "示例", students=40)
    write_roster(path, generate_students(new_id().int % 2**32, [plan]), variant="national", form="csv-utf8")
    results = [await import_into(school, path) for _ in range(2)]
    assert [result.exit_code for result in results] == [0, 0]
    reports = [json.loads(result.stdout)["report"] for result in results]
    assert [(each["created"], each["updated"], each["unchanged"]) for each in reports] == [
        (40, 0, 0),
        (0, 0, 40),
    ]
    async with owner.transaction(Scope.none()) as session:
        entries = await session.scalars(
            select(AuditEntry.acting_account).where(AuditEntry.subject_id == str(school.id))
        )
        assert set(entries) == {None}


async def test_file_with_errors_is_rejected_with_findings_on_stderr(
    school: SampleSchool, tmp_path: Path
) -> None:
    path = roster_with_errors(tmp_path / "a.xlsx")
    result = await import_into(school, path)
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["code"] == "roster_has_errors"
    assert "学生信息!A2 姓名" in result.stderr
    result = await import_into(school, path, "--skip-bad-rows")
    payload = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (payload["report"]["created"], payload["rows_with_errors"]) == (39, 1)
    assert payload["first_errors"][0]["row"] == 2


async def test_unknown_school_is_rejected(school: SampleSchool, tmp_path: Path) -> None:
    path = tmp_path / "roster.csv"
    plan = plan_school("4141000001", "示例", students=40)
    write_roster(path, generate_students(1, [plan]), variant="national", form="csv-utf8")
    result = await asyncio.to_thread(run, "import", path, "--school", "0000000000", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["code"] == "not_found"


async def test_text_reports_the_result_of_the_rows(school: SampleSchool, tmp_path: Path) -> None:
    path = tmp_path / "roster.csv"
    plan = plan_school(school.unit.code, "示例", students=40)
    write_roster(path, generate_students(new_id().int % 2**32, [plan]), variant="national", form="csv-utf8")
    result = await asyncio.to_thread(run, "import", path, "--school", school.unit.code)
    assert result.exit_code == 0
    assert "新增 40" in result.stdout


def test_missing_settings_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith("DIANMING_")]:
        monkeypatch.delenv(name)
    get_settings.cache_clear()
    path = tmp_path / "roster.csv"
    plan = plan_school("4141000001", "示例", students=40)
    write_roster(path, generate_students(1, [plan]), variant="national", form="csv-utf8")
    monkeypatch.setattr(
        sys, "argv", ["dianming", "roster", "import", str(path), "--school", "4141000001", "--json"]
    )
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    payload = json.loads(capsys.readouterr().out)["error"]
    assert payload["code"] == "settings_missing"
    assert "DIANMING_DATABASE_URL" in payload["message"]


def test_unreadable_file_is_rejected_with_a_code(tmp_path: Path) -> None:
    (tmp_path / "old.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    for name, code in (("old.xls", "roster_kind_unsupported"), ("none.xlsx", "roster_missing")):
        result = run("import", tmp_path / name, "--dry-run", "--json")
        assert result.exit_code == 2
        assert json.loads(result.stdout)["error"]["code"] == code
    result = run("import", tmp_path / "old.xls", "--dry-run")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "另存为" in result.stderr


def test_empty_template_has_no_students(tmp_path: Path) -> None:
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
def test_bad_arguments_are_rejected_with_a_code(
    tmp_path: Path, arguments: tuple[str, ...], code: str
) -> None:
    result = run(*(argument.format(tmp_path) for argument in arguments), "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["code"] == code

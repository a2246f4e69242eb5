"""`dianming roster`: check and import a roster file, write an empty template, generate invented students."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from backend.commands.output import exit_with_error, exit_with_file_error, print_result
from backend.core.app_context import open_app_context
from backend.core.clock import legal_day, now
from backend.core.errors import DomainError
from backend.core.tenancy import Scope
from backend.exchange.roster import xlsx_reader
from backend.exchange.roster.errors import RosterEmpty, RosterHasErrors
from backend.exchange.roster.generator import generate_students, plan_school
from backend.exchange.roster.importer import ImportReport, RosterImport, import_roster_as_system
from backend.exchange.roster.rows import RosterRow
from backend.exchange.roster.validation import ValidatedRoster, validate_roster
from backend.exchange.roster.writer import write_roster, write_template
from backend.org.queries import get_unit_by_code
from backend.people.identifiers import Defect, parse_school_code
from backend.settings import Settings, get_settings

app = typer.Typer(no_args_is_help=True, help="花名册 · The school's roster in the national template")

Variant = Literal["national", "national-2022"]
FileForm = Literal["xlsx", "csv-utf8", "csv-gb18030"]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout")]


@app.callback()
def about() -> None:
    """Commands for roster files."""


@contextmanager
def _progress_bar(title: str) -> Iterator[xlsx_reader.Progress]:
    """A progress bar on stderr, if that is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(title, total=None)

        def update(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total)

        yield update


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help=".xlsx or .csv")],
    school: Annotated[str | None, typer.Option(help="学校标识码 · Ten-digit code of the school")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="只检查，不写入 · Check only; nothing is written")
    ] = False,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="跳过有错误的行 · Leave out the rows with errors")
    ] = False,
    shown: Annotated[int, typer.Option("--show", min=0, help="How many findings to list")] = 100,
    as_json: AsJson = False,
) -> None:
    """Check a roster row by row and import its students into the school.

    With --dry-run, findings are the result. Without it, any error rejects the whole file, unless --skip-bad-rows is given.
    """
    if school is None and not dry_run:
        message = "请用 --school 指定学校标识码，或用 --dry-run 只检查。Name the school with --school, or only check the file with --dry-run."
        exit_with_error("school_missing", message, as_json=as_json)
    try:
        with TemporaryDirectory() as folder:
            checked = _check_file(file, Path(folder) / "rows", shown)
            payload = {"dry_run": dry_run, "file": file.name, **checked.summary.as_dict()}
            if not dry_run and school is not None:
                _require_importable(checked, payload, skip_bad_rows=skip_bad_rows)
                payload["report"] = asyncio.run(_import_rows(checked, school, get_settings())).as_dict()
    except DomainError as error:
        exit_with_error(error.code, f"{error.sentence('zh')} {error.sentence('en')}", as_json=as_json)
    except OSError as error:
        exit_with_file_error(error, error.filename or file.name, as_json=as_json)
    print_result(payload, as_json=as_json, render=_render_summary)


def _check_file(file: Path, spool: Path, shown: int) -> ValidatedRoster:
    with _progress_bar("读取花名册 Reading") as update:
        return validate_roster(file, spool, today=legal_day(now()), shown=shown, progress=update)


def _require_importable(checked: ValidatedRoster, payload: dict[str, Any], *, skip_bad_rows: bool) -> None:
    """Raise if the roster has errors or no students. The findings are printed to stderr."""
    if checked.summary.errors and not skip_bad_rows:
        sys.stderr.write(_render_summary(payload) + "\n")
        raise RosterHasErrors(rows=checked.summary.rows_with_errors)
    if not checked.summary.students:
        raise RosterEmpty


async def _import_rows(checked: ValidatedRoster, school_code: str, settings: Settings) -> ImportReport:
    """Import in the scope of the school, without an acting account: the operator of the deployment runs this command."""
    app_context = open_app_context(settings)
    try:
        async with app_context.database.transaction(Scope.none()) as session:
            school = await get_unit_by_code(session, "school", school_code)
        with _progress_bar("导入 Importing") as update:
            rows = _count_rows(checked, update)
            async with app_context.database.transaction(Scope.school(school.id, school.path)) as session:
                command = RosterImport(school, rows, checked.sha256)
                return await import_roster_as_system(session, command, app_context.keys, app_context.clock())
    finally:
        await app_context.close()


def _count_rows(checked: ValidatedRoster, update: xlsx_reader.Progress) -> Iterator[RosterRow]:
    for number, row in enumerate(checked.rows(), start=1):
        yield row
        update(number, checked.summary.students)


@app.command()
def template(
    out: Annotated[Path, typer.Argument(help="The .xlsx to write")],
    variant: Annotated[Variant, typer.Option(help="Which variant of the template")] = "national",
    as_json: AsJson = False,
) -> None:
    """Write the empty template, with drop-down lists and a sheet of instructions."""
    _require_suffix(out, "xlsx", as_json=as_json)
    with _exit_if_unwritable(out, as_json=as_json):
        write_template(out, variant=variant)
    print_result({"file": str(out), "variant": variant}, as_json=as_json, render=lambda _: f"已写出 {out}")


@app.command()
def generate(
    out: Annotated[Path, typer.Argument(help="The .xlsx or .csv to write")],
    students: Annotated[int, typer.Option(min=1, help="How many students")] = 600,
    seed: Annotated[int, typer.Option(help="The same seed gives the same students")] = 1,
    school_code: Annotated[str, typer.Option(help="学校标识码, ten digits")] = "4141000001",
    school_name: Annotated[str, typer.Option(help="Name of the invented school")] = "示例职业学校（虚构）",
    variant: Annotated[Variant, typer.Option(help="Which variant of the template")] = "national",
    form: Annotated[FileForm, typer.Option("--format", help="File format and encoding")] = "xlsx",
    as_json: AsJson = False,
) -> None:
    """Write a roster of invented students, for demonstrations and tests."""
    _require_suffix(out, form.partition("-")[0], as_json=as_json)
    code = parse_school_code(school_code)
    if isinstance(code, Defect):
        exit_with_error(code.code, f"{code.zh} {code.en}", as_json=as_json)
    try:
        plan = plan_school(code, school_name, students=students)
    except ValueError as error:
        exit_with_error("class_sizes", str(error), as_json=as_json)
    with _exit_if_unwritable(out, as_json=as_json):
        count = write_roster(out, generate_students(seed, [plan]), variant=variant, form=form)
    payload = {
        "file": str(out),
        "students": count,
        "classes": len(plan.classes),
        "seed": seed,
        "variant": variant,
    }
    print_result(
        payload,
        as_json=as_json,
        render=lambda _: f"已写出 {out}：{count} 名虚构学生，{len(plan.classes)} 个班",
    )


@contextmanager
def _exit_if_unwritable(out: Path, *, as_json: bool) -> Iterator[None]:
    """End the command if the file cannot be written."""
    try:
        yield
    except OSError as error:
        exit_with_file_error(error, out, as_json=as_json)


def _require_suffix(out: Path, suffix: str, *, as_json: bool) -> None:
    if out.suffix.lower() != f".{suffix}":
        exit_with_error(
            "file_name_suffix",
            f"文件名应以 .{suffix} 结尾。The file name must end in .{suffix}.",
            as_json=as_json,
        )


def _render_summary(payload: dict[str, Any]) -> str:
    counts = (
        f"{payload['file']}：{payload['rows']} 行，可导入学生 {payload['students']} 名，{payload['classes']} 个班；"
        f"错误 {payload['errors']} 处（{payload['rows_with_errors']} 行），提醒 {payload['warnings']} 处。"
    )
    lines = [counts]
    for kind, label in (("first_errors", "错误"), ("first_warnings", "提醒")):
        lines += [f"  {label} {_render_finding(finding)}" for finding in payload[kind]]
        more = payload[kind.removeprefix("first_")] - len(payload[kind])
        if more > 0:
            lines.append(f"  {label}还有 {more} 处未列出（--show 可多列）")
    if "report" in payload:
        lines += _render_report(payload["report"])
    elif payload["importable"]:
        lines.append("可以导入。")
    else:
        lines.append(
            "不能导入，请改正以上错误后重试。" if payload["rows"] else "表中没有学生，请填写后重试。"
        )
    return "\n".join(lines)


def _render_report(report: dict[str, Any]) -> list[str]:
    counts = (
        f"已导入：新增 {report['created']}，更新 {report['updated']}，未变 {report['unchanged']}，新建班级"
        f" {report['classes_created']}；学习形式未采纳 {report['flagged']}，他校已有学籍、列入待核 {report['quarantined']}，已核定不予建立 {report['refused']}，"
        f"新号码待确认 {report['phones_proposed']}，不在表中的在册学生 {report['not_in_file']}（未改动）。"
    )
    return [counts, *(f"  提醒 {_render_finding(finding)}" for finding in report["findings"])]


def _render_finding(finding: dict[str, Any]) -> str:
    place = f"{finding['sheet']}!{finding['letter']}{finding['row']} {finding['column']}"
    return f"{place}“{finding['value']}” {finding['code']}: {finding['zh']}"

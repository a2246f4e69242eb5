"""`dianming roster`: check a roster file, write the empty template, generate invented students."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from backend.commands.output import answer, refuse
from backend.core.clock import legal_day, now
from backend.core.errors import DomainError
from backend.exchange.roster import xlsx
from backend.exchange.roster.generator import generate_students, plan_school
from backend.exchange.roster.reading import read_roster
from backend.exchange.roster.summary import summarise
from backend.exchange.roster.writing import write_roster, write_template
from backend.people.identifiers import Defect, parse_school_code

app = typer.Typer(no_args_is_help=True, help="花名册 · The school's roster in the national template")

Variant = Literal["national", "national-2022"]
FileForm = Literal["xlsx", "csv-utf8", "csv-gb18030"]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout")]


@app.callback()
def about() -> None:
    """Keep the verbs sub-commands."""


@contextmanager
def _bar(title: str) -> Iterator[xlsx.Progress]:
    """A progress bar on stderr, only where somebody watches a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(title, total=None)

        def progressed(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total)

        yield progressed


@app.command("import")
def check_import(
    file: Annotated[Path, typer.Argument(help=".xlsx or .csv")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="只检查，不写入 · Check only; nothing is written")
    ],
    shown: Annotated[int, typer.Option("--show", min=0, help="How many findings to list")] = 100,
    as_json: AsJson = False,
) -> None:
    """Read a roster and say what is in it and what is wrong, row by row. Findings are an answer."""
    try:
        with _bar("读取花名册 Reading") as progressed:
            items = read_roster(file, today=legal_day(now()), progress=progressed)
            summary = summarise(items, shown=shown)
    except DomainError as refusal:
        refuse(refusal.code, f"{refusal.sentence('zh')} {refusal.sentence('en')}", as_json=as_json)
    except OSError as refusal:
        refuse("file_unusable", f"无法读取 Cannot read {file.name}: {refusal.strerror}", as_json=as_json)
    answer(
        {"dry_run": dry_run, "file": file.name, **summary.as_dict()}, as_json=as_json, render=_render_summary
    )


@app.command()
def template(
    out: Annotated[Path, typer.Argument(help="The .xlsx to write")],
    variant: Annotated[Variant, typer.Option(help="Which variant of the template")] = "national",
    as_json: AsJson = False,
) -> None:
    """Write the empty template, with drop-down lists and a sheet of instructions."""
    _demand_suffix(out, "xlsx", as_json=as_json)
    with _writing(out, as_json=as_json):
        write_template(out, variant=variant)
    answer({"file": str(out), "variant": variant}, as_json=as_json, render=lambda _: f"已写出 {out}")


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
    _demand_suffix(out, form.partition("-")[0], as_json=as_json)
    code = parse_school_code(school_code)
    if isinstance(code, Defect):
        refuse(code.code, f"{code.zh} {code.en}", as_json=as_json)
    try:
        plan = plan_school(code, school_name, students=students)
    except ValueError as refusal:
        refuse("class_sizes", str(refusal), as_json=as_json)
    with _writing(out, as_json=as_json):
        count = write_roster(out, generate_students(seed, [plan]), variant=variant, form=form)
    payload = {
        "file": str(out),
        "students": count,
        "classes": len(plan.classes),
        "seed": seed,
        "variant": variant,
    }
    answer(
        payload,
        as_json=as_json,
        render=lambda _: f"已写出 {out}：{count} 名虚构学生，{len(plan.classes)} 个班",
    )


@contextmanager
def _writing(out: Path, *, as_json: bool) -> Iterator[None]:
    """Refuse where the file cannot be made."""
    try:
        yield
    except OSError as refusal:
        refuse("file_unusable", f"无法写入 Cannot write {out.name}: {refusal.strerror}", as_json=as_json)


def _demand_suffix(out: Path, suffix: str, *, as_json: bool) -> None:
    if out.suffix.lower() != f".{suffix}":
        refuse(
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
        lines += [f"  {label} {_render_finding(found)}" for found in payload[kind]]
        more = payload[kind.removeprefix("first_")] - len(payload[kind])
        if more > 0:
            lines.append(f"  {label}还有 {more} 处未列出（--show 可多列）")
    if payload["importable"]:
        lines.append("可以导入。")
    else:
        lines.append(
            "不能导入，请改正以上错误后重试。" if payload["rows"] else "表中没有学生，请填写后重试。"
        )
    return "\n".join(lines)


def _render_finding(found: dict[str, Any]) -> str:
    place = f"{found['sheet']}!{found['letter']}{found['row']} {found['column']}"
    return f"{place}“{found['value']}” {found['code']}: {found['zh']}"

"""`dianming clauses`: which code implements a clause, and which tests cover it."""

import io
import shutil
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from backend.commands.output import exit_with_error, print_result
from backend.core.errors import DomainError
from backend.policy import load_clauses, policies_directory
from backend.policy.clauses import find_clause_marks

MIN_WIDTH = 100
HEADINGS = ("条款 Clause", "出处 Article", "内容 Rule", "状态 Status", "测试 Tests")


def command(
    ids: Annotated[
        list[str] | None,
        typer.Argument(help="条款编号，列出其代码和测试 · clauses to show with code and tests"),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """条款 · Every clause with its status; with ids, the code and the tests of these clauses."""
    directory = policies_directory()
    try:
        registry = load_clauses(directory)
    except DomainError as error:
        exit_with_error(error.code, error.sentence("zh"), as_json=as_json)
    unknown = [each for each in ids or [] if each not in registry.ids]
    if unknown:
        text = f"没有条款 {', '.join(unknown)}，请用 dianming clauses 查看编号。No such clause; run `dianming clauses` for the ids."
        exit_with_error("clause_unknown", text, as_json=as_json)
    marks = find_clause_marks(directory.parent)
    tests = marks.tests if marks else {}
    clauses = [
        clause.model_dump(mode="json") | {"tests": list(tests.get(clause.id, ()))}
        for clause in registry.clauses
        if not ids or clause.id in ids
    ]
    payload = {
        "clauses": clauses,
        "tests_scanned": marks is not None,
        "unknown": {clause: list(marked) for clause, marked in tests.items() if clause not in registry.ids},
    }
    print_result(payload, as_json=as_json, render=_render_details if ids else _render_table)


def _render_details(payload: dict[str, Any]) -> str:
    return "\n\n".join("\n".join(_iter_details(clause)) for clause in payload["clauses"])


def _iter_details(clause: dict[str, Any]) -> Iterator[str]:
    yield f"{clause['id']}  {clause['instrument']} {clause['article']}  {clause['status']}"
    yield f"  {clause['title']['zh']}"
    yield f"  {clause['title']['en']}"
    if clause["missing"]:
        yield f"  缺 Missing: {clause['missing']['zh']} {clause['missing']['en']}"
    yield from (f"  代码 Code: {path}" for path in clause["code"])
    yield from (f"  测试 Test: {test}" for test in clause["tests"])


def _status(clause: dict[str, Any]) -> str:
    """The status, and below it what a partial clause lacks."""
    missing = clause["missing"]
    return f"{clause['status']}\n{missing['zh']}\n{missing['en']}" if missing else str(clause["status"])


def _render_table(payload: dict[str, Any]) -> str:
    table = Table(show_lines=True)
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    for clause in payload["clauses"]:
        table.add_row(
            clause["id"],
            f"{clause['instrument']} {clause['article']}",
            f"{clause['title']['zh']}\n{clause['title']['en']}",
            _status(clause),
            str(len(clause["tests"])),
        )
    output = io.StringIO()
    console = Console(file=output, width=max(MIN_WIDTH, shutil.get_terminal_size().columns))
    console.print(table)
    if not payload["tests_scanned"]:
        console.print("此处没有 tests/，无法列出测试。No tests/ here, so the tests are not listed.")
    for clause, tests in payload["unknown"].items():
        console.print(f"未知条款 Unknown clause {clause}: {', '.join(tests)}", markup=False)
    return output.getvalue().rstrip()

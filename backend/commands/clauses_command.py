"""`dianming clauses`: which code implements a clause, and which tests cover it."""

import io
import shutil
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from backend.commands.output import exit_with_error, print_result
from backend.core.errors import DomainError
from backend.policy import load_clauses, policies_directory
from backend.policy.clauses import find_clause_marks

MIN_WIDTH = 80
HEADINGS = ("条款 Clause", "出处 Article", "内容 Rule", "状态 Status", "代码 Code", "测试 Tests")


def command(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """条款 · Every clause, the code that implements it and the tests that cover it."""
    directory = policies_directory()
    try:
        registry = load_clauses(directory)
    except DomainError as error:
        exit_with_error(error.code, error.sentence("zh"), as_json=as_json)
    marks = find_clause_marks(directory.parent)
    tests = marks.tests if marks else {}
    clauses = [
        clause.model_dump(mode="json") | {"tests": list(tests.get(clause.id, ()))}
        for clause in registry.clauses
    ]
    payload = {
        "clauses": clauses,
        "tests_scanned": marks is not None,
        "unknown": {clause: list(marked) for clause, marked in tests.items() if clause not in registry.ids},
    }
    print_result(payload, as_json=as_json, render=_render)


def _render(payload: dict[str, Any]) -> str:
    table = Table()
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    for clause in payload["clauses"]:
        table.add_row(
            clause["id"],
            f"{clause['instrument']} {clause['article']}",
            f"{clause['title']['zh']}\n{clause['title']['en']}",
            clause["status"],
            "\n".join(clause["code"]),
            "\n".join(clause["tests"]),
        )
    output = io.StringIO()
    console = Console(file=output, width=max(MIN_WIDTH, shutil.get_terminal_size().columns))
    console.print(table)
    if not payload["tests_scanned"]:
        console.print("此处没有 tests/，无法列出测试。No tests/ here, so the tests are not listed.")
    for clause, tests in payload["unknown"].items():
        console.print(f"未知条款 Unknown clause {clause}: {', '.join(tests)}", markup=False)
    return output.getvalue().rstrip()

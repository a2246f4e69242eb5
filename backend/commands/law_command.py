"""`dianming law check FILES…`: run law cases, wherever their files lie (docs/law-cases.md)."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from backend.commands.output import EXIT_BAD_INPUT, answer
from backend.core.errors import DomainError
from backend.law_cases.errors import CaseMalformed
from backend.law_cases.runner import CaseResult, run_file
from backend.policy import load_policies
from backend.standing.engine.trace import document

EXIT_CASE_FAILED = 1

app = typer.Typer(no_args_is_help=True, help="法规案例 · Law cases")


@app.callback()
def law() -> None:
    """Keep `check` a sub-command of its own, however few there are."""


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILES…", help="YAML files of law cases")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Run each case; exit 0 when all pass, 1 when one fails, 2 when a file cannot be read."""
    try:
        shipped = load_policies()
        results = [result for file in files for result in run_file(file, shipped)]
    except CaseMalformed as fault:
        _refuse(fault, fault.place, as_json=as_json)
    except DomainError as fault:
        _refuse(fault, {}, as_json=as_json)
    failed = sum(not result.passed for result in results)
    payload = {
        "passed": len(results) - failed,
        "failed": failed,
        "cases": [_told(result) for result in results],
    }
    answer(payload, as_json=as_json, render=_rendered)
    if failed:
        raise typer.Exit(EXIT_CASE_FAILED)


def _told(result: CaseResult) -> dict[str, Any]:
    told = {
        "file": result.file,
        "name": result.name,
        "clauses": list(result.clauses),
        "passed": result.passed,
    }
    if not result.passed:
        told |= {"differences": document(result.differences), "trace": list(result.trace)}
    return told


def _rendered(payload: dict[str, Any]) -> str:
    lines = []
    for case in payload["cases"]:
        lines.append(
            f"{'通过 pass' if case['passed'] else '失败 FAIL'}  {case['name']}  [{', '.join(case['clauses'])}]"
        )
        for difference in case.get("differences", ()):
            lines.append(f"    {difference['at']}  {difference['key']}")
            lines.append(f"      应为 expected: {_json(difference['expected'])}")
            lines.append(f"      实为 actual:   {_json(difference['actual'])}")
        lines += [f"    依据 trace: {_json(assessment)}" for assessment in case.get("trace", ())]
    lines.append(f"{payload['passed']} 通过 passed, {payload['failed']} 失败 failed")
    return "\n".join(lines)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _refuse(fault: DomainError, place: Mapping[str, str], *, as_json: bool) -> NoReturn:
    """The contract of bad input, with file, case and key beside the stable code."""
    message = f"{fault.sentence('zh')} {fault.sentence('en')}"
    if as_json:
        error = {"code": fault.code, "message": message, **place}
        sys.stdout.write(json.dumps({"error": error}, ensure_ascii=False) + "\n")
    else:
        sys.stderr.write(f"{fault.code}: {message}\n")
    raise typer.Exit(EXIT_BAD_INPUT)

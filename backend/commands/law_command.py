"""`dianming law check FILES…`: run law cases from any files (docs/law-cases.md)."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from backend.commands.output import EXIT_BAD_INPUT, print_result
from backend.core.errors import DomainError
from backend.law_cases.errors import CaseMalformed
from backend.law_cases.runner import CaseResult, run_file
from backend.policy import load_policies
from backend.standing.engine.trace import decode_canonical

EXIT_CASE_FAILED = 1

app = typer.Typer(no_args_is_help=True, help="法规案例 · Law cases")


@app.callback()
def law() -> None:
    """Keep `check` a sub-command, although it is the only one."""


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILES…", help="YAML files of law cases")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Run each case; exit code 0 if all pass, 1 if one fails, 2 if a file is invalid."""
    try:
        policies = load_policies()
        results = [result for file in files for result in run_file(file, policies)]
    except CaseMalformed as error:
        _exit_with_error(error, error.place, as_json=as_json)
    except DomainError as error:
        _exit_with_error(error, {}, as_json=as_json)
    failed = sum(not result.passed for result in results)
    payload = {
        "passed": len(results) - failed,
        "failed": failed,
        "cases": [_as_json(result) for result in results],
    }
    print_result(payload, as_json=as_json, render=_render)
    if failed:
        raise typer.Exit(EXIT_CASE_FAILED)


def _as_json(result: CaseResult) -> dict[str, Any]:
    payload = {
        "file": result.file,
        "name": result.name,
        "clauses": list(result.clauses),
        "passed": result.passed,
    }
    if not result.passed:
        payload |= {"differences": decode_canonical(result.differences), "trace": list(result.trace)}
    return payload


def _render(payload: dict[str, Any]) -> str:
    lines = []
    for case in payload["cases"]:
        lines.append(
            f"{'通过 pass' if case['passed'] else '失败 FAIL'}  {case['name']}  [{', '.join(case['clauses'])}]"
        )
        for difference in case.get("differences", ()):
            lines.append(f"    {difference['at']}  {difference['key']}")
            lines.append(f"      应为 expected: {_dump(difference['expected'])}")
            lines.append(f"      实为 actual:   {_dump(difference['actual'])}")
        lines += [f"    依据 trace: {_dump(assessment)}" for assessment in case.get("trace", ())]
    lines.append(f"{payload['passed']} 通过 passed, {payload['failed']} 失败 failed")
    return "\n".join(lines)


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _exit_with_error(error: DomainError, place: Mapping[str, str], *, as_json: bool) -> NoReturn:
    """Like `output.refuse`, with file, case and key in addition to the code."""
    message = f"{error.sentence('zh')} {error.sentence('en')}"
    if as_json:
        problem = {"code": error.code, "message": message, **place}
        sys.stdout.write(json.dumps({"error": problem}, ensure_ascii=False) + "\n")
    else:
        sys.stderr.write(f"{error.code}: {message}\n")
    raise typer.Exit(EXIT_BAD_INPUT)

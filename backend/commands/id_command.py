"""`dianming id check NUMBER`: is this a valid resident ID number (GB 11643)?"""

from typing import Annotated, Any

import typer

from backend.commands.output import print_result
from backend.core.clock import legal_day, now
from backend.people.identifiers import Defect, parse_id_number

app = typer.Typer(no_args_is_help=True, help="证件号码 · Numbers of identity documents")


@app.callback()
def about() -> None:
    """Keep `check` a sub-command, although it is the only one."""


@app.command()
def check(
    number: Annotated[str, typer.Argument(help="公民身份号码 · ID number")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout")] = False,
) -> None:
    """Check an ID number. An invalid number is an answer, not an error."""
    parsed = parse_id_number(number, today=legal_day(now()))
    defect = parsed if isinstance(parsed, Defect) else None

    def render(_: dict[str, Any]) -> str:
        return f"{defect.zh} {defect.en} ({defect.code})" if defect else "号码有效。The number is valid."

    print_result(
        {"valid": defect is None, "code": defect.code if defect else None}, as_json=as_json, render=render
    )

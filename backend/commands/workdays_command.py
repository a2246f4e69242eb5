"""`dianming workdays add DATE N`: the N-th working day after DATE, by the official calendar."""

import re
from datetime import date
from typing import Annotated

import typer

from backend.commands.output import exit_with_error, print_result
from backend.core.errors import DomainError
from backend.org.calendar import official_calendar

WHOLE_NUMBER = re.compile(r"-?[0-9]{1,9}")

app = typer.Typer(no_args_is_help=True, help="工作日 · Working days, with make-up workdays")


@app.callback()
def workdays() -> None:
    """Keep `add` a sub-command, although it is the only one."""


@app.command(context_settings={"ignore_unknown_options": True})
def add(
    day: Annotated[str, typer.Argument(metavar="DATE", help="YYYY-MM-DD; the day itself never counts")],
    number: Annotated[str, typer.Argument(metavar="N", help="how many working days, 0 or more")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Print the N-th working day after DATE."""
    start = _parse_date(day, as_json=as_json)
    days = _parse_number(number, as_json=as_json)
    try:
        result = official_calendar().add_working_days(start, days)
    except DomainError as error:
        exit_with_error(error.code, f"{error.sentence('zh')} {error.sentence('en')}", as_json=as_json)
    print_result({"date": result.isoformat()}, as_json=as_json, render=lambda payload: str(payload["date"]))


def _parse_date(text: str, *, as_json: bool) -> date:
    """Accept only YYYY-MM-DD. `date.fromisoformat` also accepts week dates and bare digits."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        exit_with_error(
            "bad_date",
            f"日期应为 YYYY-MM-DD：{text} · A date has the form YYYY-MM-DD: {text}",
            as_json=as_json,
        )
    return day


def _parse_number(text: str, *, as_json: bool) -> int:
    if not WHOLE_NUMBER.fullmatch(text):
        exit_with_error(
            "bad_number",
            f"天数应为整数：{text} · The number of days must be an integer: {text}",
            as_json=as_json,
        )
    number = int(text)
    if number < 0:
        exit_with_error(
            "negative_days",
            f"天数不能为负：{text} · The number of days must not be negative: {text}",
            as_json=as_json,
        )
    return number

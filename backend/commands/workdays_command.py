"""`dianming workdays add DATE N`: the N-th working day after a day, by the official calendar."""

import re
from datetime import date
from typing import Annotated

import typer

from backend.commands.output import answer, refuse
from backend.core.errors import DomainError
from backend.org.calendar import official_calendar

WHOLE_NUMBER = re.compile(r"-?[0-9]{1,9}")

app = typer.Typer(no_args_is_help=True, help="工作日 · Working days, with make-up workdays")


@app.callback()
def workdays() -> None:
    """Keep `add` a sub-command of its own, however few there are."""


@app.command(context_settings={"ignore_unknown_options": True})
def add(
    day: Annotated[str, typer.Argument(metavar="DATE", help="YYYY-MM-DD; the day itself never counts")],
    number: Annotated[str, typer.Argument(metavar="N", help="how many working days, 0 or more")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Print the N-th working day after DATE."""
    start = _date(day, as_json=as_json)
    days = _number(number, as_json=as_json)
    try:
        found = official_calendar().add_working_days(start, days)
    except DomainError as error:
        refuse(error.code, f"{error.sentence('zh')} {error.sentence('en')}", as_json=as_json)
    answer({"date": found.isoformat()}, as_json=as_json, render=lambda payload: str(payload["date"]))


def _date(text: str, *, as_json: bool) -> date:
    """Only YYYY-MM-DD: Python alone would also read week dates and bare digits."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        refuse("bad_date", f"日期应为 YYYY-MM-DD：{text} · A date reads YYYY-MM-DD: {text}", as_json=as_json)
    return day


def _number(text: str, *, as_json: bool) -> int:
    if not WHOLE_NUMBER.fullmatch(text):
        refuse("bad_number", f"天数应为整数：{text} · The number of days is whole: {text}", as_json=as_json)
    number = int(text)
    if number < 0:
        refuse(
            "negative_days",
            f"天数不能为负：{text} · A number of days is not negative: {text}",
            as_json=as_json,
        )
    return number

"""`dianming calendar load FILE`: load the official holidays and make-up workdays of a year."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from backend.commands.output import exit_with_error, exit_with_file_error, print_result
from backend.core.clock import now
from backend.core.database import Database
from backend.core.errors import DomainError
from backend.core.tenancy import Scope
from backend.org.calendar import CalendarYear
from backend.org.calendar_file import parse_calendar_year, parse_calendar_year_csv
from backend.org.calendar_years import save_calendar_year
from backend.org.paths import build_unit_path
from backend.settings import Settings, get_settings

app = typer.Typer(no_args_is_help=True, help="工作日历 · The working-day calendar")


@app.callback()
def calendar() -> None:
    """Keep `load` a sub-command, although it is the only one."""


@app.command()
def load(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML, or CSV with the header date,kind")],
    *,
    year: Annotated[int | None, typer.Option(help="the year of a CSV file")] = None,
    source: Annotated[str | None, typer.Option(help="the notice behind a CSV file")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """载入一年的节假日安排 · Load the year in FILE; an amended notice replaces an earlier one."""
    try:
        loaded = _parse_file(file, year, source, as_json=as_json)
        asyncio.run(_store(loaded, get_settings()))
    except DomainError as error:
        exit_with_error(error.code, f"{error.sentence('zh')} {error.sentence('en')}", as_json=as_json)
    payload = {
        "year": loaded.year,
        "holidays": len(loaded.holidays),
        "makeup_workdays": len(loaded.makeup_workdays),
        "source": loaded.source,
    }
    print_result(payload, as_json=as_json, render=lambda payload: "{year}: {source}".format(**payload))


def _parse_file(file: Path, year: int | None, source: str | None, *, as_json: bool) -> CalendarYear:
    try:
        content = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        exit_with_file_error(error, file, code="file_unreadable", as_json=as_json)
    if file.suffix.lower() != ".csv":
        return parse_calendar_year(content)
    if year is None or source is None:
        exit_with_error(
            "year_missing", "CSV 须加 --year 和 --source · A CSV needs --year and --source", as_json=as_json
        )
    return parse_calendar_year_csv(content, year=year, source=source)


async def _store(year: CalendarYear, settings: Settings) -> None:
    """Store it with the scope of the province. In the audit log, the acting account is the system."""
    province = build_unit_path("province", settings.province_code, None)
    database = Database.connect(settings.database_url, pool_size=1)
    try:
        async with database.transaction(Scope.wide(province)) as session:
            await save_calendar_year(session, province, year, now())
    finally:
        await database.close()

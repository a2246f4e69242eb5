"""The stored calendar years: the shipped years and those that the province loaded."""

from collections.abc import Iterable
from datetime import date, timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import ProgrammingError
from typer.testing import CliRunner

from backend.commands import calendar_command
from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.core.database import Database
from backend.core.errors import NotPermitted
from backend.core.tables import AuditEntry
from backend.core.tenancy import Scope
from backend.org.calendar import FIXED_HOLIDAYS, CalendarYear, CalendarYearMissing
from backend.org.calendar_years import get_working_calendar, load_calendar_year, save_calendar_year
from backend.settings import Settings
from tests.support.province import (
    PROVINCE_PATH,
    SampleProvince,
    bureau_account,
    create_sample_province,
    province_account,
    registrar_account,
)

pytestmark = [pytest.mark.clause("HN334-4.1b"), pytest.mark.clause("R7")]

_years = count(2060)


@pytest.fixture(scope="module")
async def world(owner: Database, app_context: AppContext) -> SampleProvince:
    return await create_sample_province(owner, app_context.keys, classes=0, students=0)


@pytest.fixture
def year() -> int:
    return next(_years)


def make_notice(year: int, *, makeup: Iterable[date] = ()) -> CalendarYear:
    holidays = frozenset(date(year, month, day) for month, day in FIXED_HOLIDAYS)
    return CalendarYear(year, holidays, frozenset(makeup), f"notice of {year}")


def first_saturday(year: int) -> date:
    return next(day for day in (date(year, 3, 1 + n) for n in range(7)) if day.weekday() == 5)


async def test_loaded_year_makes_its_days_computable(
    database: Database, world: SampleProvince, year: int
) -> None:
    actor = province_account(world.province)
    saturday = first_saturday(year)
    async with database.transaction(actor.scope) as session:
        with pytest.raises(CalendarYearMissing, match=str(year)):
            (await get_working_calendar(session)).is_working_day(saturday)
        await load_calendar_year(session, actor, make_notice(year, makeup=[saturday]), now())
    async with database.transaction(Scope.none()) as session:
        calendar = await get_working_calendar(session)
    assert calendar.is_working_day(saturday)
    assert not calendar.is_working_day(saturday + timedelta(days=1))
    assert not calendar.is_working_day(date(year, 5, 1))
    assert calendar.add_working_days(date(2025, 9, 26), 5) == date(2025, 10, 10)


async def test_amended_notice_replaces_the_year_and_audit_keeps_the_old_one(
    database: Database, world: SampleProvince, year: int
) -> None:
    actor = province_account(world.province)
    saturday = first_saturday(year)
    for amended in (make_notice(year), make_notice(year, makeup=[saturday])):
        async with database.transaction(actor.scope) as session:
            await load_calendar_year(session, actor, amended, now())
    async with database.transaction(actor.scope) as session:
        calendar = await get_working_calendar(session)
        entries = await session.scalars(
            select(AuditEntry).where(AuditEntry.subject_id == str(year)).order_by(AuditEntry.id)
        )
        first, second = entries.all()
    assert calendar.is_working_day(saturday)
    assert first.before is None
    assert second.before == first.after
    assert second.acting_account == actor.account_id


async def test_only_the_province_loads_a_year(database: Database, world: SampleProvince, year: int) -> None:
    for actor in (bureau_account(world.city), registrar_account(world.school)):
        with pytest.raises(NotPermitted):
            async with database.transaction(actor.scope) as session:
                await load_calendar_year(session, actor, make_notice(year), now())
        with pytest.raises(ProgrammingError, match="row-level security"):
            async with database.transaction(actor.scope) as session:
                await save_calendar_year(session, PROVINCE_PATH, make_notice(year), now())


def test_command_loads_a_file_or_reports_its_errors(
    settings: Settings, year: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calendar_command, "get_settings", lambda: settings)
    rows = [f"{year}-{month:02d}-{day:02d},holiday" for month, day in FIXED_HOLIDAYS]
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("\n".join(["date,kind", *rows]))
    bad.write_text("\n".join(["date,kind", *rows, f"{year}-13-01,holiday"]))
    options = ["--year", str(year), "--source", "国办通知", "--json"]
    runner = CliRunner()
    loaded = runner.invoke(calendar_command.app, ["load", str(good), *options])
    refused = runner.invoke(calendar_command.app, ["load", str(bad), *options])
    absent = runner.invoke(calendar_command.app, ["load", str(tmp_path / "none.yaml"), "--json"])
    assert (loaded.exit_code, refused.exit_code, absent.exit_code) == (0, 2, 2)
    assert f'"year": {year}, "holidays": 5' in loaded.stdout
    assert '"code": "calendar_file_invalid"' in refused.stdout
    assert '"code": "file_unreadable"' in absent.stdout

"""The stored calendar years: those that an administrator loaded, in addition to the shipped ones (reading 7)."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.audit import Act, record
from backend.core.errors import NotPermitted
from backend.core.tenancy import scope_of
from backend.org.calendar import CalendarYear, WorkingCalendar, official_calendar
from backend.org.tables import LoadedCalendarYear


async def get_working_calendar(session: AsyncSession) -> WorkingCalendar:
    """Return the calendar to compute deadlines with. A loaded year replaces the shipped one."""
    return official_calendar().with_years(await list_loaded_years(session))


async def list_loaded_years(session: AsyncSession) -> Sequence[CalendarYear]:
    """Return the years that administrators loaded, in order."""
    rows = await session.scalars(select(LoadedCalendarYear).order_by(LoadedCalendarYear.year))
    return [
        CalendarYear(row.year, _parse_days(row, "holidays"), _parse_days(row, "makeup_workdays"), row.source)
        for row in rows
    ]


async def get_load_times_of_added_years(session: AsyncSession) -> dict[int, datetime]:
    """Return, for each year that was not shipped, when it was first loaded: no deadline in it was known before."""
    shipped = official_calendar().years
    rows = await session.execute(select(LoadedCalendarYear.year, LoadedCalendarYear.loaded_at))
    return {year: loaded_at for year, loaded_at in rows if year not in shipped}


def _parse_days(row: LoadedCalendarYear, kind: str) -> frozenset[date]:
    return frozenset(date.fromisoformat(day) for day in row.days[kind])


async def load_calendar_year(session: AsyncSession, actor: Actor, year: CalendarYear, at: datetime) -> None:
    """Load an official year. Only the province administers the calendar."""
    if actor.role != "province":
        raise NotPermitted(
            reason_zh="工作日历由省级账号载入",
            reason_en="only the account of the province loads the calendar",
        )
    await save_calendar_year(session, actor.org_path, year, at)


async def save_calendar_year(session: AsyncSession, province: str, year: CalendarYear, at: datetime) -> None:
    """Save a year under the province's scope. An amended notice replaces the earlier one, which stays in the audit."""
    earlier = await session.get(LoadedCalendarYear, year.year)
    before = {"source": earlier.source, "days": earlier.days} if earlier else None
    new = {"source": year.source, "days": _to_json(year)}
    values = {**new, "loaded_by": scope_of(session).account_id}
    statement = insert(LoadedCalendarYear).values(year=year.year, loaded_at=at, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["year"], set_=values))
    record(session, Act("calendar_year_loaded", "calendar_year", str(year.year), province, before, new), at)


def _to_json(year: CalendarYear) -> dict[str, Any]:
    return {
        "holidays": [day.isoformat() for day in sorted(year.holidays)],
        "makeup_workdays": [day.isoformat() for day in sorted(year.makeup_workdays)],
    }

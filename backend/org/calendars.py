"""The working-day calendar in force: the shipped years and those an administrator loaded (reading 7)."""

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


async def working_calendar(session: AsyncSession) -> WorkingCalendar:
    """The calendar to compute deadlines with; a loaded year replaces the shipped one of the same number."""
    return official_calendar().with_years(await loaded_years(session))


async def loaded_years(session: AsyncSession) -> Sequence[CalendarYear]:
    """The years that administrators loaded, in order."""
    rows = await session.scalars(select(LoadedCalendarYear).order_by(LoadedCalendarYear.year))
    return [
        CalendarYear(row.year, _days(row, "holidays"), _days(row, "makeup_workdays"), row.source)
        for row in rows
    ]


async def years_loaded_late(session: AsyncSession) -> dict[int, datetime]:
    """When each year that did not ship with the product was first loaded: before, no deadline in it was known."""
    shipped = official_calendar().years
    rows = await session.execute(select(LoadedCalendarYear.year, LoadedCalendarYear.loaded_at))
    return {year: loaded_at for year, loaded_at in rows if year not in shipped}


def _days(row: LoadedCalendarYear, kind: str) -> frozenset[date]:
    return frozenset(date.fromisoformat(day) for day in row.days[kind])


async def load_calendar_year(session: AsyncSession, actor: Actor, year: CalendarYear, at: datetime) -> None:
    """Put an official year in force; by the province, whose account administers the calendar."""
    if actor.role != "province":
        raise NotPermitted(
            reason_zh="工作日历由省级账号载入", reason_en="the province's account loads the calendar"
        )
    await put_calendar_year(session, actor.org_path, year, at)


async def put_calendar_year(session: AsyncSession, province: str, year: CalendarYear, at: datetime) -> None:
    """Put a year in force under the province's scope; the amended notice of a year replaces the earlier one.

    What was in force before stays in the audit.
    """
    earlier = await session.get(LoadedCalendarYear, year.year)
    before = {"source": earlier.source, "days": earlier.days} if earlier else None
    new = {"source": year.source, "days": _stored(year)}
    row = {**new, "loaded_by": scope_of(session).account_id}
    put = insert(LoadedCalendarYear).values(year=year.year, loaded_at=at, **row)
    await session.execute(put.on_conflict_do_update(index_elements=["year"], set_=row))
    record(session, Act("calendar_year_loaded", "calendar_year", str(year.year), province, before, new), at)


def _stored(year: CalendarYear) -> dict[str, Any]:
    return {
        "holidays": [day.isoformat() for day in sorted(year.holidays)],
        "makeup_workdays": [day.isoformat() for day in sorted(year.makeup_workdays)],
    }

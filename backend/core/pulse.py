"""The measured availability of the service: while it answers, it leaves a mark each minute.

"Nobody checked in" says something about a person only if the service was there to be reached. A sanction therefore
needs the marks of the whole window (reading 8, invariant 7).
"""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.tables import ServicePulse
from backend.core.tenancy import Scope

if TYPE_CHECKING:
    from backend.core.runtime import Runtime

LOOK = timedelta(seconds=1)
"""How often the clock is looked at; a mark is left when its minute is a new one."""

log = structlog.get_logger()


async def beat(session: AsyncSession, at: datetime) -> None:
    """Leave the mark of this minute; whoever comes second in a minute leaves none."""
    await session.execute(insert(ServicePulse).values(minute=_minute(at)).on_conflict_do_nothing())


async def keep_beating(runtime: "Runtime") -> None:
    """Run for as long as the process serves; a database that cannot be reached leaves a gap, as it should."""
    marked: datetime | None = None
    while True:
        minute = _minute(runtime.clock())
        try:
            if minute != marked:
                async with runtime.database.transaction(Scope.none()) as session:
                    await beat(session, minute)
                marked = minute
        except (SQLAlchemyError, OSError) as error:
            log.warning("no pulse: the database cannot be reached", error=type(error).__name__)
        await asyncio.sleep(LOOK.total_seconds())


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def longest_gap(window: tuple[datetime, datetime], minutes: Iterable[datetime]) -> timedelta:
    """The longest stretch of the window without a mark. A mark stands for the minute that it names."""
    reached, end = window
    gap = timedelta(0)
    for minute in sorted(minutes):
        gap = max(gap, min(minute, end) - reached)
        reached = max(reached, minute + timedelta(minutes=1))
    return max(gap, end - reached)


async def watched(session: AsyncSession, window: tuple[datetime, datetime], tolerated: timedelta) -> bool:
    """Whether the marks of a window leave no gap longer than `tolerated`."""
    opens_at, closes_at = window
    rows = await session.scalars(
        select(ServicePulse.minute).where(
            ServicePulse.minute > opens_at - timedelta(minutes=1), ServicePulse.minute < closes_at
        )
    )
    return longest_gap(window, rows) <= tolerated

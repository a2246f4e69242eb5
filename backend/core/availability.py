"""The measured availability of the service: while it answers, it leaves a mark each minute.

"Nobody checked in" says something about a person only if the service was there to be reached. A sanction therefore
needs the marks of the whole window (reading 8, invariant 7). A service that turned requests away for load was not quite
there either: each second in which it did is kept too, with how many it were.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.tables import ServiceHeartbeat, ServiceOverload
from backend.core.tenancy import Scope

if TYPE_CHECKING:
    from backend.core.app_context import AppContext

MINUTE = timedelta(minutes=1)
CHECK_INTERVAL = timedelta(seconds=1)
"""How often the clock is looked at; a mark is left when its minute is a new one."""

log = structlog.get_logger()


async def record_heartbeat(session: AsyncSession, at: datetime) -> None:
    """Leave the mark of this minute; whoever comes second in a minute leaves none."""
    await session.execute(insert(ServiceHeartbeat).values(minute=_minute(at)).on_conflict_do_nothing())


class LoadShedding:
    """Requests of this process that were turned away and are not yet on record, by second."""

    def __init__(self, _: "AppContext | None" = None) -> None:
        self._counts: Counter[datetime] = Counter()

    def note(self, at: datetime) -> None:
        """One was turned away at `at`."""
        self._counts[at.replace(microsecond=0)] += 1

    async def record(self, app_context: "AppContext") -> None:
        """Write what was noted; what cannot be written stays noted."""
        if not self._counts:
            return
        counts, self._counts = self._counts, Counter()
        try:
            async with app_context.database.transaction(Scope.none()) as session:
                await record_overload(session, counts)
        except BaseException:
            self._counts.update(counts)
            raise


async def record_overload(session: AsyncSession, counts: Mapping[datetime, int]) -> None:
    """Add to what is on record of each second; processes come to one sum, whoever writes first."""
    rows = [{"second": second, "rejected": count} for second, count in sorted(counts.items())]
    added = insert(ServiceOverload).values(rows)
    total = ServiceOverload.rejected + added.excluded.rejected
    await session.execute(
        added.on_conflict_do_update(index_elements=[ServiceOverload.second], set_={"rejected": total})
    )


async def overloaded_seconds(
    session: AsyncSession, window: tuple[datetime, datetime]
) -> Sequence[tuple[datetime, int]]:
    """The seconds of a window in which requests were turned away, and how many in each."""
    opens_at, closes_at = window
    found = await session.execute(
        select(ServiceOverload.second, ServiceOverload.rejected)
        .where(ServiceOverload.second >= opens_at.replace(microsecond=0), ServiceOverload.second <= closes_at)
        .order_by(ServiceOverload.second)
    )
    return [(second, count) for second, count in found]


async def run_heartbeat(app_context: "AppContext") -> None:
    """Run for as long as the process serves; a database that cannot be reached leaves a gap, as it should.

    Nothing that goes wrong ends it: a pulse that stopped would take the evidence from every later window.
    """
    marked: datetime | None = None
    while True:
        try:
            minute = _minute(app_context.clock())
            if minute != marked:
                async with app_context.database.transaction(Scope.none()) as session:
                    await record_heartbeat(session, minute)
                marked = minute
            await app_context.service(LoadShedding).record(app_context)
        except Exception as error:  # noqa: BLE001 - whatever it was, the next look may succeed
            log.warning("no pulse in this minute", error=type(error).__name__)
        await asyncio.sleep(CHECK_INTERVAL.total_seconds())


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def gaps(window: tuple[datetime, datetime], minutes: Iterable[datetime]) -> Iterator[timedelta]:
    """Every stretch of the window without a mark. A mark stands for the minute that it names."""
    reached, end = window
    for minute in sorted(minutes):
        yield min(minute, end) - reached
        reached = max(reached, minute + MINUTE)
    yield end - reached


def longest_gap(window: tuple[datetime, datetime], minutes: Iterable[datetime]) -> timedelta:
    """The longest stretch of the window without a mark."""
    return max(timedelta(0), *gaps(window, minutes))


def lost_time(
    window: tuple[datetime, datetime], minutes: Iterable[datetime], tolerated: timedelta
) -> timedelta:
    """How long the service was away in all, stretches of no more than `tolerated` left out."""
    return sum((gap for gap in gaps(window, minutes) if gap > tolerated), timedelta(0))


@dataclass(frozen=True, slots=True)
class Availability:
    """What the marks say of a window: its minutes, how many of them are marked, and the longest gap."""

    minutes: int
    marked: int
    longest_gap: timedelta


async def heartbeats_in(session: AsyncSession, window: tuple[datetime, datetime]) -> Sequence[datetime]:
    """The marked minutes that the window touches."""
    opens_at, closes_at = window
    marked = select(ServiceHeartbeat.minute).where(
        ServiceHeartbeat.minute >= _minute(opens_at), ServiceHeartbeat.minute < closes_at
    )
    return (await session.scalars(marked)).all()


async def availability(session: AsyncSession, window: tuple[datetime, datetime]) -> Availability:
    """Read the marks of every minute that the window touches."""
    opens_at, closes_at = window
    marks = await heartbeats_in(session, window)
    minutes = math.ceil((closes_at - _minute(opens_at)) / MINUTE) if opens_at < closes_at else 0
    return Availability(minutes, len(marks), longest_gap(window, marks))

"""Recorded availability of the service: one heartbeat per minute, and every second in which load was shed.

A missed roll call counts against a student only if the service could be reached. A sanction therefore needs the
heartbeats of the whole window (reading 8, invariant 7). A service that rejects requests under load is not fully
available, so those seconds are recorded too, with the number of rejected requests.
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
"""How often the clock is read. A heartbeat is recorded when a new minute has begun."""

log = structlog.get_logger()


async def record_heartbeat(session: AsyncSession, at: datetime) -> None:
    """Record the heartbeat of this minute, unless one is recorded already."""
    await session.execute(insert(ServiceHeartbeat).values(minute=_minute(at)).on_conflict_do_nothing())


async def record_heartbeats(session: AsyncSession, since: datetime, seconds: float) -> None:
    """Record the heartbeats of the minutes that a demonstration or a test skips."""
    minutes = [{"minute": _minute(since) + each * MINUTE} for each in range(int(seconds // 60) + 2)]
    await session.execute(insert(ServiceHeartbeat).on_conflict_do_nothing(), minutes)


class LoadShedding:
    """Rejected requests of this process that are not recorded yet, by second."""

    def __init__(self, _: "AppContext | None" = None) -> None:
        self._counts: Counter[datetime] = Counter()

    def count_rejection(self, at: datetime) -> None:
        """Count a request that was rejected at `at`."""
        self._counts[at.replace(microsecond=0)] += 1

    async def record(self, app_context: "AppContext") -> None:
        """Record the counts. If that fails, they are kept for the next time."""
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
    """Add to the recorded count of each second, so that several processes arrive at one sum."""
    rows = [{"second": second, "rejected": count} for second, count in sorted(counts.items())]
    added = insert(ServiceOverload).values(rows)
    total = ServiceOverload.rejected + added.excluded.rejected
    await session.execute(
        added.on_conflict_do_update(index_elements=[ServiceOverload.second], set_={"rejected": total})
    )


async def load_overloaded_seconds(
    session: AsyncSession, window: tuple[datetime, datetime]
) -> Sequence[tuple[datetime, int]]:
    """The seconds of a window in which requests were rejected, and how many in each."""
    opens_at, closes_at = window
    rows = await session.execute(
        select(ServiceOverload.second, ServiceOverload.rejected)
        .where(ServiceOverload.second >= opens_at.replace(microsecond=0), ServiceOverload.second <= closes_at)
        .order_by(ServiceOverload.second)
    )
    return [(second, count) for second, count in rows]


async def run_heartbeat(app_context: "AppContext") -> None:
    """Record heartbeats while the process serves. A database that cannot be reached leaves a gap, as intended.

    No error ends the loop: without heartbeats, every later window would lack its evidence.
    """
    recorded: datetime | None = None
    while True:
        try:
            minute = _minute(app_context.clock())
            if minute != recorded:
                async with app_context.database.transaction(Scope.none()) as session:
                    await record_heartbeat(session, minute)
                recorded = minute
            await app_context.service(LoadShedding).record(app_context)
        except Exception as error:  # noqa: BLE001 - the next attempt may succeed
            log.warning("no heartbeat recorded", error=type(error).__name__)
        await asyncio.sleep(CHECK_INTERVAL.total_seconds())


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def list_gaps(window: tuple[datetime, datetime], minutes: Iterable[datetime]) -> Iterator[timedelta]:
    """Every stretch of the window without a heartbeat. A heartbeat covers the whole minute that it names."""
    reached, end = window
    for minute in sorted(minutes):
        yield min(minute, end) - reached
        reached = max(reached, minute + MINUTE)
    yield end - reached


def longest_gap(window: tuple[datetime, datetime], minutes: Iterable[datetime]) -> timedelta:
    """The longest stretch of the window without a heartbeat."""
    return max(timedelta(0), *list_gaps(window, minutes))


def compute_lost_time(
    window: tuple[datetime, datetime], minutes: Iterable[datetime], tolerated: timedelta
) -> timedelta:
    """Total time without heartbeats. Gaps of at most `tolerated` do not count."""
    return sum((gap for gap in list_gaps(window, minutes) if gap > tolerated), timedelta(0))


@dataclass(frozen=True, slots=True)
class Availability:
    """The minutes of a window, how many of them have a heartbeat, and the longest gap."""

    minutes: int
    marked: int
    longest_gap: timedelta


async def load_heartbeats(session: AsyncSession, window: tuple[datetime, datetime]) -> Sequence[datetime]:
    """The minutes of the window, partial ones included, that have a heartbeat."""
    opens_at, closes_at = window
    minutes = select(ServiceHeartbeat.minute).where(
        ServiceHeartbeat.minute >= _minute(opens_at), ServiceHeartbeat.minute < closes_at
    )
    return (await session.scalars(minutes)).all()


async def measure_availability(session: AsyncSession, window: tuple[datetime, datetime]) -> Availability:
    """Measure a window by the heartbeats of its minutes, partial ones included."""
    opens_at, closes_at = window
    heartbeats = await load_heartbeats(session, window)
    minutes = math.ceil((closes_at - _minute(opens_at)) / MINUTE) if opens_at < closes_at else 0
    return Availability(minutes, len(heartbeats), longest_gap(window, heartbeats))

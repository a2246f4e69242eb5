"""The service records a heartbeat each minute; gaps count in favour of students who missed a roll call (reading 8)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select

from backend.core.app_context import AppContext
from backend.core.availability import (
    Availability,
    compute_lost_time,
    load_heartbeats,
    longest_gap,
    measure_availability,
    record_heartbeat,
    run_heartbeat,
)
from backend.core.database import Database
from backend.core.tables import ServiceHeartbeat
from backend.core.tenancy import Scope

pytestmark = pytest.mark.clause("R8")

MINUTE = timedelta(minutes=1)
OPENS = datetime(2001, 1, 1, 8, tzinfo=UTC)
CLOSES = OPENS + 60 * MINUTE
WINDOW = (OPENS, CLOSES)


def heartbeats(*minutes: int) -> list[datetime]:
    return [OPENS + number * MINUTE for number in minutes]


@pytest.mark.parametrize(
    ("minutes", "gap"),
    [
        ((), 60),
        (range(60), 0),
        (range(1, 60), 1),
        (range(59), 1),
        ([*range(10), *range(15, 60)], 5),
        ([*range(10), *range(12, 30), *range(37, 60)], 7),
        (range(59, -1, -1), 0),
        ([30], 30),
    ],
)
def test_longest_gap_is_the_longest_time_without_heartbeat(minutes: Any, gap: int) -> None:
    assert longest_gap(WINDOW, heartbeats(*minutes)) == gap * MINUTE


def test_heartbeat_covers_a_minute_that_is_only_partly_in_the_window() -> None:
    window = (OPENS + timedelta(seconds=30), OPENS + timedelta(minutes=2, seconds=30))
    assert longest_gap(window, heartbeats(0, 1, 2)) == timedelta(0)
    assert longest_gap(window, heartbeats(1, 2)) == timedelta(seconds=30)
    assert longest_gap(window, heartbeats(0, 1)) == timedelta(seconds=30)


@given(st.sets(st.integers(-5, 65)), st.integers(0, 59))
def test_additional_heartbeat_never_lengthens_the_gap(minutes: set[int], more: int) -> None:
    assert longest_gap(WINDOW, heartbeats(*minutes, more)) <= longest_gap(WINDOW, heartbeats(*minutes))


@pytest.fixture
async def without_heartbeats(database: Database, owner: Database) -> Database:
    """A database without heartbeats in the year of these tests."""
    async with owner.transaction(Scope.none()) as session:
        await session.execute(
            delete(ServiceHeartbeat).where(ServiceHeartbeat.minute < OPENS + timedelta(days=365))
        )
    return database


async def test_each_minute_is_recorded_once(without_heartbeats: Database) -> None:
    for seconds in (0, 10, 59):
        async with without_heartbeats.transaction(Scope.none()) as session:
            await record_heartbeat(session, OPENS + timedelta(seconds=seconds))
    async with without_heartbeats.transaction(Scope.none()) as session:
        assert (
            await session.scalars(select(ServiceHeartbeat.minute).where(ServiceHeartbeat.minute < CLOSES))
        ).all() == [OPENS]


async def test_only_gaps_longer_than_tolerated_are_lost_time(without_heartbeats: Database) -> None:
    async with without_heartbeats.transaction(Scope.none()) as session:
        for at in heartbeats(*range(20), *range(25, 60)):
            await record_heartbeat(session, at)
        recorded = await load_heartbeats(session, WINDOW)
        assert compute_lost_time(WINDOW, recorded, 5 * MINUTE) == timedelta(0)
        assert compute_lost_time(WINDOW, recorded, 4 * MINUTE) == 5 * MINUTE
        assert await measure_availability(session, WINDOW) == Availability(60, 55, 5 * MINUTE)


@given(st.sets(st.integers(-5, 65)), st.integers(0, 10))
def test_lost_time_counts_every_gap_if_none_is_tolerated(minutes: set[int], tolerated: int) -> None:
    recorded = heartbeats(*minutes)
    missing = 60 - len([minute for minute in minutes if 0 <= minute < 60])
    assert compute_lost_time(WINDOW, recorded, timedelta(0)) == missing * MINUTE
    assert compute_lost_time(WINDOW, recorded, tolerated * MINUTE) <= missing * MINUTE


async def test_empty_window_has_no_minutes(without_heartbeats: Database) -> None:
    async with without_heartbeats.transaction(Scope.none()) as session:
        assert await measure_availability(session, (OPENS, OPENS)) == Availability(0, 0, timedelta(0))


@dataclass(slots=True)
class AdvancingClock:
    """A clock that advances a minute at each reading and cancels the loop after the last."""

    left: int
    at: datetime = OPENS

    def __call__(self) -> datetime:
        self.left -= 1
        if self.left < 0:
            raise asyncio.CancelledError
        self.at += MINUTE
        return self.at


@dataclass(slots=True)
class FlakyDatabase:
    """A database that raises an error for some of its transactions."""

    database: Database
    errors: dict[int, Exception]
    transactions: int = field(default=0)

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[Any]:
        self.transactions += 1
        if self.transactions in self.errors:
            raise self.errors[self.transactions]
        async with self.database.transaction(scope) as session:
            yield session


async def test_errors_leave_a_gap_but_do_not_end_the_heartbeat(
    without_heartbeats: Database, app_context: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.core.availability.CHECK_INTERVAL", timedelta(0))
    flaky = FlakyDatabase(without_heartbeats, {2: OSError(), 3: RuntimeError()})
    process = cast("AppContext", SimpleNamespace(clock=AdvancingClock(left=5), database=flaky))
    with pytest.raises(asyncio.CancelledError):
        await run_heartbeat(process)
    async with without_heartbeats.transaction(Scope.none()) as session:
        recorded = await session.scalars(
            select(ServiceHeartbeat.minute)
            .where(ServiceHeartbeat.minute < CLOSES)
            .order_by(ServiceHeartbeat.minute)
        )
        assert recorded.all() == heartbeats(1, 4, 5)


async def test_heartbeat_writes_once_per_minute(
    without_heartbeats: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.core.availability.CHECK_INTERVAL", timedelta(0))
    flaky = FlakyDatabase(without_heartbeats, {})
    times = iter([OPENS, OPENS + timedelta(seconds=1), OPENS + timedelta(seconds=59)])

    def clock() -> datetime:
        at = next(times, None)
        if at is None:
            raise asyncio.CancelledError
        return at

    process = cast("AppContext", SimpleNamespace(clock=clock, database=flaky))
    with pytest.raises(asyncio.CancelledError):
        await run_heartbeat(process)
    assert flaky.transactions == 1

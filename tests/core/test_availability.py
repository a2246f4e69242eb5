"""The service leaves a mark each minute; what it left out speaks for everyone who missed a check then (reading 8)."""

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

from backend.core import availability as availability_module
from backend.core.app_context import AppContext
from backend.core.availability import (
    Availability,
    availability,
    heartbeats_in,
    longest_gap,
    lost_time,
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


def marks(*minutes: int) -> list[datetime]:
    return [OPENS + number * MINUTE for number in minutes]


@pytest.mark.parametrize(
    ("marked", "gap"),
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
def test_the_longest_gap_is_the_longest_stretch_without_a_mark(marked: Any, gap: int) -> None:
    assert longest_gap(WINDOW, marks(*marked)) == gap * MINUTE


def test_a_mark_stands_for_the_minute_it_names_where_the_window_begins_or_ends_inside_one() -> None:
    window = (OPENS + timedelta(seconds=30), OPENS + timedelta(minutes=2, seconds=30))
    assert longest_gap(window, marks(0, 1, 2)) == timedelta(0)
    assert longest_gap(window, marks(1, 2)) == timedelta(seconds=30)
    assert longest_gap(window, marks(0, 1)) == timedelta(seconds=30)


@given(st.sets(st.integers(-5, 65)), st.integers(0, 59))
def test_one_more_mark_never_lengthens_the_gap(minutes: set[int], more: int) -> None:
    assert longest_gap(WINDOW, marks(*minutes, more)) <= longest_gap(WINDOW, marks(*minutes))


@pytest.fixture
async def bare(database: Database, owner: Database) -> Database:
    """No mark of the year of these tests."""
    async with owner.transaction(Scope.none()) as session:
        await session.execute(
            delete(ServiceHeartbeat).where(ServiceHeartbeat.minute < OPENS + timedelta(days=365))
        )
    return database


async def test_a_minute_is_marked_once_whoever_comes_second(bare: Database) -> None:
    for seconds in (0, 10, 59):
        async with bare.transaction(Scope.none()) as session:
            await record_heartbeat(session, OPENS + timedelta(seconds=seconds))
    async with bare.transaction(Scope.none()) as session:
        assert (
            await session.scalars(select(ServiceHeartbeat.minute).where(ServiceHeartbeat.minute < CLOSES))
        ).all() == [OPENS]


async def test_time_is_lost_beyond_the_tolerated_gap_and_not_one_minute_before(bare: Database) -> None:
    async with bare.transaction(Scope.none()) as session:
        for at in marks(*range(20), *range(25, 60)):
            await record_heartbeat(session, at)
        found = await heartbeats_in(session, WINDOW)
        assert lost_time(WINDOW, found, 5 * MINUTE) == timedelta(0)
        assert lost_time(WINDOW, found, 4 * MINUTE) == 5 * MINUTE
        assert await availability(session, WINDOW) == Availability(60, 55, 5 * MINUTE)


@given(st.sets(st.integers(-5, 65)), st.integers(0, 10))
def test_lost_time_is_all_that_is_unmarked_where_nothing_is_tolerated(
    minutes: set[int], tolerated: int
) -> None:
    found = marks(*minutes)
    unmarked = 60 - len([minute for minute in minutes if 0 <= minute < 60])
    assert lost_time(WINDOW, found, timedelta(0)) == unmarked * MINUTE
    assert lost_time(WINDOW, found, tolerated * MINUTE) <= unmarked * MINUTE


async def test_a_window_that_has_not_begun_has_no_minutes(bare: Database) -> None:
    async with bare.transaction(Scope.none()) as session:
        assert await availability(session, (OPENS, OPENS)) == Availability(0, 0, timedelta(0))


@dataclass(slots=True)
class Minutes:
    """A clock that is a minute further at each look, and ends the process after the last."""

    left: int
    at: datetime = OPENS

    def __call__(self) -> datetime:
        self.left -= 1
        if self.left < 0:
            raise asyncio.CancelledError
        self.at += MINUTE
        return self.at


@dataclass(slots=True)
class Flaky:
    """A database that is gone for some of the transactions asked of it."""

    database: Database
    gone: dict[int, Exception]
    asked: int = field(default=0)

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[Any]:
        self.asked += 1
        if self.asked in self.gone:
            raise self.gone[self.asked]
        async with self.database.transaction(scope) as session:
            yield session


async def test_a_lost_database_leaves_a_gap_and_nothing_that_goes_wrong_ends_the_pulse(
    bare: Database, app_context: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(availability_module, "CHECK_INTERVAL", timedelta(0))
    flaky = Flaky(bare, {2: OSError(), 3: RuntimeError()})
    process = cast("AppContext", SimpleNamespace(clock=Minutes(left=5), database=flaky))
    with pytest.raises(asyncio.CancelledError):
        await run_heartbeat(process)
    async with bare.transaction(Scope.none()) as session:
        found = await session.scalars(
            select(ServiceHeartbeat.minute)
            .where(ServiceHeartbeat.minute < CLOSES)
            .order_by(ServiceHeartbeat.minute)
        )
        assert found.all() == marks(1, 4, 5)


async def test_within_one_minute_the_database_is_asked_once(
    bare: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(availability_module, "CHECK_INTERVAL", timedelta(0))
    flaky = Flaky(bare, {})
    looks = iter([OPENS, OPENS + timedelta(seconds=1), OPENS + timedelta(seconds=59)])

    def clock() -> datetime:
        at = next(looks, None)
        if at is None:
            raise asyncio.CancelledError
        return at

    process = cast("AppContext", SimpleNamespace(clock=clock, database=flaky))
    with pytest.raises(asyncio.CancelledError):
        await run_heartbeat(process)
    assert flaky.asked == 1

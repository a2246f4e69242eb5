"""A process's cache of roll call totals: loaded in full once, then updated by the counters that changed.

Each flush gives the changed counters a new, higher version. So the difference to the cached totals consists of the
counters above the highest known version and the pending changes (ADR 14). The cache does not know callers: access is
checked in `progress.access` under the caller's scope.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.app_context import AppContext
from backend.core.tenancy import Scope
from backend.org.paths import superior_paths
from backend.org.queries import is_in_subtree
from backend.org.tables import OrgUnit
from backend.people.tables import SchoolClass
from backend.roll_call.outcomes import roll_call_term
from backend.roll_call.progress.totals import ClassObligations, Counts, RollCallTotals, Unit
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import RollCallClass

MAX_AGE_SECONDS = 600.0
"""After this, names and the tree are reloaded in the background while the old totals stay in use."""
MAX_CLASSES = 100_000
"""Classes cached by a process over all roll calls, about 60 MB."""
_CHUNK_ROWS = 500
"""Rows processed at a time during a full load, so that other requests are not blocked."""

log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class _CacheEntry:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    totals: RollCallTotals | None = None
    loaded_at: float = 0.0
    refreshed_at: float = 0.0
    reload_task: asyncio.Task[None] | None = None


class TotalsCache:
    """LRU cache of `RollCallTotals`, limited by the number of classes."""

    def __init__(self, app_context: AppContext) -> None:
        self._database = app_context.database
        self._entries: OrderedDict[UUID, _CacheEntry] = OrderedDict()

    async def load_current(self, roll_call_id: UUID, launcher_path: str) -> RollCallTotals:
        """Totals that include everything committed before this call. Concurrent callers share one query."""
        requested_at = time.monotonic()
        entry = self._entries.setdefault(roll_call_id, _CacheEntry())
        self._entries.move_to_end(roll_call_id)
        async with entry.lock:
            if entry.totals is not None and entry.refreshed_at >= requested_at:
                return entry.totals
            started_at = time.monotonic()
            if entry.totals is None:
                entry.totals = await self._load(roll_call_id, launcher_path)
                entry.loaded_at = started_at
            else:
                await self._refresh(entry.totals, roll_call_id)
            entry.refreshed_at = started_at
            if started_at - entry.loaded_at > MAX_AGE_SECONDS and entry.reload_task is None:
                entry.reload_task = asyncio.create_task(self._reload(entry, roll_call_id, launcher_path))
            self._evict()
            return entry.totals

    async def _load(self, roll_call_id: UUID, launcher_path: str) -> RollCallTotals:
        async with self._database.transaction(Scope.wide(launcher_path)) as session:
            return await _load_totals(session, roll_call_id, launcher_path)

    async def _refresh(self, totals: RollCallTotals, roll_call_id: UUID) -> None:
        rows = await self._database.fetch_autocommit(_CHANGES, roll_call=roll_call_id, version=totals.version)
        counters, pending = _split_changes(tuple(row.values()) for row in rows)
        totals.apply_counters(counters)
        totals.replace_pending(pending)

    async def _reload(self, entry: _CacheEntry, roll_call_id: UUID, launcher_path: str) -> None:
        """Load the totals again in the background and swap them in."""
        try:
            totals = await self._load(roll_call_id, launcher_path)
        except Exception as error:  # noqa: BLE001 - for example the database is down; the next request retries
            log.warning("reload of roll call totals failed", error=type(error).__name__)
        else:
            async with entry.lock:
                entry.totals, entry.loaded_at, entry.refreshed_at = totals, time.monotonic(), 0.0
        finally:
            entry.reload_task = None

    def _evict(self) -> None:
        """Drop the least recently used totals above the limit; the newest entry stays, however large."""
        classes = sum(len(entry.totals) for entry in self._entries.values() if entry.totals is not None)
        for roll_call_id in list(islice(self._entries, len(self._entries) - 1)):
            if classes <= MAX_CLASSES:
                return
            evicted = self._entries.pop(roll_call_id)
            classes -= len(evicted.totals) if evicted.totals is not None else 0


async def _load_totals(session: AsyncSession, roll_call_id: UUID, launcher_path: str) -> RollCallTotals:
    """Load units, classes and counters in chunks, yielding to the event loop between them."""
    units = await session.execute(
        select(OrgUnit.id, OrgUnit.kind, OrgUnit.name, OrgUnit.path)
        .where(or_(is_in_subtree(launcher_path), OrgUnit.path.in_(superior_paths(launcher_path))))
        .order_by(OrgUnit.code)
    )
    audience = (
        select(
            RollCallClass.class_id,
            RollCallClass.school_id,
            SchoolClass.name,
            RollCallClass.owed + RollCallClass.excused,
            RollCallClass.exempt,
        )
        .join(SchoolClass, SchoolClass.id == RollCallClass.class_id)
        .where(
            RollCallClass.term_code == roll_call_term(roll_call_id),
            RollCallClass.roll_call_id == roll_call_id,
        )
        .order_by(SchoolClass.name)
    )
    classes: list[ClassObligations] = []
    async for chunk in (await session.stream(audience)).partitions(_CHUNK_ROWS):
        classes += [ClassObligations(*row) for row in chunk]
        await asyncio.sleep(0)
    totals = RollCallTotals.build([Unit(*row) for row in units], classes)
    changes: list[_Change] = []
    parameters = {"roll_call": roll_call_id, "version": totals.version}
    async for part in (await session.stream(_CHANGES, parameters)).partitions(_CHUNK_ROWS):
        changes += [tuple(row) for row in part]
        await asyncio.sleep(0)
    counters, pending = _split_changes(changes)
    for begin in range(0, len(counters), _CHUNK_ROWS):
        totals.apply_counters(counters[begin : begin + _CHUNK_ROWS])
        await asyncio.sleep(0)
    totals.replace_pending(pending)
    return totals


_CHANGES = text(
    f"SELECT class_id, version, {', '.join(each.value for each in Outcome)}"  # noqa: S608 - our own enum values
    " FROM definer.progress_since(:roll_call, :version)"
)
_Change = tuple[Any, ...]


def _split_changes(changes: Iterable[_Change]) -> tuple[list[tuple[UUID, Counts, int]], dict[UUID, Counts]]:
    """Separate counters (with a version) from pending changes (without one)."""
    counters: list[tuple[UUID, Counts, int]] = []
    pending: dict[UUID, Counts] = {}
    for class_id, version, *outcomes in changes:
        if version is None:
            pending[class_id] = [int(each) for each in outcomes]
        else:
            counters.append((class_id, outcomes, version))
    return counters, pending

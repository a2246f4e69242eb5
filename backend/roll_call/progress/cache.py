"""The tallies of a process: read whole once, from then on only what changed.

A counter has a version, given by the one who folds at a time: what is newer than the newest one known, and what is
noted and not folded yet, is all that can differ (ADR 14). Tallies are the process's own knowledge and know no caller;
who may look at which unit is asked of the database under the caller's scope (`progress.view_of`).
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
from backend.org.queries import under
from backend.org.tables import OrgUnit
from backend.people.tables import SchoolClass
from backend.roll_call.outcomes import load_term
from backend.roll_call.progress.totals import ClassObligations, Counts, RollCallTotals, Unit
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import RollCallClass

LIFE_SECONDS = 600.0
"""Names and the tree are read again after this, while the figures of before are still shown."""
MOST_CLASSES = 100_000
"""Kept by a process, in all tallies together: some sixty megabytes."""
_AT_A_TIME = 500
"""Rows between which other requests have their turn while a tally is read for the first time."""

log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class _Kept:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    tally: RollCallTotals | None = None
    loaded_at: float = 0.0
    read_at: float = 0.0
    renewing: asyncio.Task[None] | None = None


class TotalsCache:
    """Of a process, those looked at last."""

    def __init__(self, app_context: AppContext) -> None:
        self._database = app_context.database
        self._kept: OrderedDict[UUID, _Kept] = OrderedDict()

    async def fresh(self, roll_call_id: UUID, launcher_path: str) -> RollCallTotals:
        """A roll call's tally with all that was committed before this was asked; who ask at once share the answer."""
        asked = time.monotonic()
        kept = self._kept.setdefault(roll_call_id, _Kept())
        self._kept.move_to_end(roll_call_id)
        async with kept.lock:
            if kept.tally is not None and kept.read_at >= asked:
                return kept.tally
            began = time.monotonic()
            if kept.tally is None:
                kept.tally = await self._load(roll_call_id, launcher_path)
                kept.loaded_at = began
            else:
                known = kept.tally.version
                rows = await self._database.ask(_SINCE, roll_call=roll_call_id, version=known)
                counters, noted = _sorted(tuple(row.values()) for row in rows)
                kept.tally.count(counters)
                kept.tally.note(noted)
            kept.read_at = began
            if began - kept.loaded_at > LIFE_SECONDS and kept.renewing is None:
                kept.renewing = asyncio.create_task(self._renew(kept, roll_call_id, launcher_path))
            self._forget_some()
            return kept.tally

    async def _load(self, roll_call_id: UUID, launcher_path: str) -> RollCallTotals:
        async with self._database.transaction(Scope.wide(launcher_path)) as session:
            return await _loaded(session, roll_call_id, launcher_path)

    async def _renew(self, kept: _Kept, roll_call_id: UUID, launcher_path: str) -> None:
        """Nobody waits for it: until it is there, the one of before is read and shown."""
        try:
            tally = await self._load(roll_call_id, launcher_path)
        except Exception as error:  # noqa: BLE001 - the database may be away: tried again when somebody asks
            log.warning("a tally could not be read anew", error=type(error).__name__)
        else:
            async with kept.lock:
                kept.tally, kept.loaded_at, kept.read_at = tally, time.monotonic(), 0.0
        finally:
            kept.renewing = None

    def _forget_some(self) -> None:
        """Those that nobody asked for longest; the last one stays, however large."""
        held = sum(len(each.tally) for each in self._kept.values() if each.tally is not None)
        for roll_call_id in list(islice(self._kept, len(self._kept) - 1)):
            if held <= MOST_CLASSES:
                return
            gone = self._kept.pop(roll_call_id)
            held -= len(gone.tally) if gone.tally is not None else 0


async def _loaded(session: AsyncSession, roll_call_id: UUID, launcher_path: str) -> RollCallTotals:
    """From nothing; whoever else has requests here gets a turn between the rows."""
    units = await session.execute(
        select(OrgUnit.id, OrgUnit.kind, OrgUnit.name, OrgUnit.path)
        .where(or_(under(launcher_path), OrgUnit.path.in_(superior_paths(launcher_path))))
        .order_by(OrgUnit.code)
    )
    asked = (
        select(
            RollCallClass.class_id,
            RollCallClass.school_id,
            SchoolClass.name,
            RollCallClass.owed + RollCallClass.excused,
            RollCallClass.exempt,
        )
        .join(SchoolClass, SchoolClass.id == RollCallClass.class_id)
        .where(RollCallClass.term_code == load_term(roll_call_id), RollCallClass.roll_call_id == roll_call_id)
        .order_by(SchoolClass.name)
    )
    classes: list[ClassObligations] = []
    async for part in (await session.stream(asked)).partitions(_AT_A_TIME):
        classes += [ClassObligations(*row) for row in part]
        await asyncio.sleep(0)
    tally = RollCallTotals.of([Unit(*row) for row in units], classes)
    changes: list[_Change] = []
    asked_since = {"roll_call": roll_call_id, "version": tally.version}
    async for part in (await session.stream(_SINCE, asked_since)).partitions(_AT_A_TIME):
        changes += [tuple(row) for row in part]
        await asyncio.sleep(0)
    counters, noted = _sorted(changes)
    for begin in range(0, len(counters), _AT_A_TIME):
        tally.count(counters[begin : begin + _AT_A_TIME])
        await asyncio.sleep(0)
    tally.note(noted)
    return tally


_SINCE = text(
    f"SELECT class_id, version, {', '.join(each.value for each in Outcome)}"  # noqa: S608 - names of our own
    " FROM definer.progress_since(:roll_call, :version)"
)
_Change = tuple[Any, ...]


def _sorted(changes: Iterable[_Change]) -> tuple[list[tuple[UUID, Counts, int]], dict[UUID, Counts]]:
    """Counters with their versions, and notes."""
    counters: list[tuple[UUID, Counts, int]] = []
    noted: dict[UUID, Counts] = {}
    for class_id, version, *outcomes in changes:
        if version is None:
            noted[class_id] = [int(each) for each in outcomes]
        else:
            counters.append((class_id, outcomes, version))
    return counters, noted

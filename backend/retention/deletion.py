"""Deleting what is due, kind by kind, in bounded batches, with a row for each run and kind.

Files go first and the rows say so after: a run that is cut off in between leaves what the next one finds, and
deleting twice is no error.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.app_context import AppContext
from backend.core.clock import legal_day
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.org.paths import path_of
from backend.policy import PolicyAt
from backend.policy.installed import policy_at
from backend.retention.tables import RetentionRun

AT_ONCE = 500

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Due:
    """One thing whose time is over: its files, and when it was taken."""

    id: UUID
    since: datetime
    keys: tuple[str, ...] = ()
    files: int = 0
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """What is deleted: how it is found, and how its rows say that it is gone.

    `due` gives the oldest first and no more than asked for; `mark` returns those that nothing had marked before.
    """

    name: str
    due: Callable[[AsyncSession, PolicyAt, datetime, int], Awaitable[Sequence[Due]]]
    mark: Callable[[AsyncSession, Sequence[UUID], datetime], Awaitable[Collection[UUID]]]


@dataclass(slots=True)
class Deleted:
    """The sums of a run over one kind."""

    items: int = 0
    files: int = 0
    size_bytes: int | None = None
    since: list[datetime] = field(default_factory=list)
    """When the oldest and the newest were taken; empty as long as nothing was."""

    def add(self, batch: Sequence[Due]) -> None:
        """Count a batch."""
        self.items += len(batch)
        self.files += sum(each.files for each in batch)
        sizes = [each.size_bytes for each in batch if each.size_bytes is not None]
        if sizes:
            self.size_bytes = (self.size_bytes or 0) + sum(sizes)
        taken = self.since + [each.since for each in batch]
        self.since = [min(taken), max(taken)] if taken else []


async def delete_due(app_context: AppContext, kinds: Sequence[Kind]) -> list[RetentionRun]:
    """Run over every kind; one that fails keeps no other waiting: what failed is raised in the end, as a group."""
    runs, failures = list[RetentionRun](), list[Exception]()
    for kind in kinds:
        try:
            runs.append(await _run(app_context, kind))
        except Exception as error:  # noqa: BLE001 - raised below, with those of the others
            failures.append(error)
    if failures:
        msg = "retention failed"
        raise ExceptionGroup(msg, failures)
    return runs


async def _run(app_context: AppContext, kind: Kind) -> RetentionRun:
    """Batch after batch until nothing is due; what was deleted is on record even when a batch fails."""
    at = app_context.clock()
    place = app_context.settings.province_code
    province = Scope.wide(path_of("province", place, None))
    law = policy_at(legal_day(at), place)
    deleted = Deleted()
    try:
        while await _batch(app_context, kind, province, law, at, deleted):
            pass
    finally:
        run = _run_row(kind, province, deleted, at, app_context.clock())
        async with app_context.database.transaction(province) as session:
            session.add(run)
        if deleted.items:
            log.info("retention deleted", kind=kind.name, items=deleted.items, files=deleted.files)
    return run


async def _batch(
    app_context: AppContext, kind: Kind, province: Scope, law: PolicyAt, at: datetime, deleted: Deleted
) -> bool:
    """True while there may be more."""
    async with app_context.database.transaction(province) as session:
        due = await kind.due(session, law, at, AT_ONCE)
    await app_context.evidence.delete([key for each in due for key in each.keys])
    async with app_context.database.transaction(province) as session:
        marked = set(await kind.mark(session, [each.id for each in due], at)) if due else set()
    deleted.add([each for each in due if each.id in marked])
    return len(due) == AT_ONCE


def _run_row(
    kind: Kind, province: Scope, deleted: Deleted, started_at: datetime, finished_at: datetime
) -> RetentionRun:
    return RetentionRun(
        id=new_id(),
        org_path=province.org_path,
        kind=kind.name,
        items=deleted.items,
        files=deleted.files,
        size_bytes=deleted.size_bytes,
        oldest=deleted.since[0] if deleted.since else None,
        newest=deleted.since[-1] if deleted.since else None,
        started_at=started_at,
        finished_at=finished_at,
    )

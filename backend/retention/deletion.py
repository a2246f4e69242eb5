"""Deletes expired items by kind, in bounded batches, and records one row per run and kind.

Files are deleted before their rows are marked. If a run is interrupted in between, the next run finds the same items
again; deleting a file twice is not an error.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.app_context import AppContext
from backend.core.clock import legal_day
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.core.tenancy import Scope
from backend.identity.pictures.keys import load_picture_keys
from backend.identity.pictures.refs import PictureRef
from backend.org.paths import build_unit_path
from backend.policy import PolicyAt
from backend.policy.installed import policy_at
from backend.retention.tables import RetentionRun
from biometrics.templates.sealing import PictureKey

BATCH_SIZE = 500

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Expired:
    """One item whose retention period is over: its primary key, its files, and when it was created.

    `keys` are names of files that are stored in rows. `pictures` are pictures whose names follow from the student's key,
    with or without a row: an interrupted upload may have left a file.
    """

    id: Any
    created_at: datetime
    keys: tuple[str, ...] = ()
    pictures: tuple[PictureRef, ...] = ()
    files: int = 0
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class RetentionKind:
    """A kind of retained data: how to find expired items, and how to mark them as deleted.

    `find_expired` returns the oldest items first, up to the limit. `mark_deleted` deletes what is in rows, and returns the
    ids that were not marked before.
    """

    name: str
    find_expired: Callable[[AsyncSession, PolicyAt, datetime, int], Awaitable[Sequence[Expired]]]
    mark_deleted: Callable[[AsyncSession, Sequence[Any], datetime], Awaitable[Collection[Any]]]


@dataclass(slots=True)
class DeletionTotals:
    """The totals of a run over one kind."""

    items: int = 0
    files: int = 0
    size_bytes: int | None = None
    oldest: datetime | None = None
    newest: datetime | None = None

    def add(self, batch: Sequence[Expired]) -> None:
        """Add the items of a batch."""
        self.items += len(batch)
        self.files += sum(item.files for item in batch)
        sizes = [item.size_bytes for item in batch if item.size_bytes is not None]
        if sizes:
            self.size_bytes = (self.size_bytes or 0) + sum(sizes)
        times = [item.created_at for item in batch]
        self.oldest = min((time for time in (self.oldest, *times) if time is not None), default=None)
        self.newest = max((time for time in (self.newest, *times) if time is not None), default=None)


async def delete_expired(app_context: AppContext, kinds: Sequence[RetentionKind]) -> list[RetentionRun]:
    """Run over every kind. A kind that fails does not stop the others; errors are raised at the end, as a group."""
    runs, failures = list[RetentionRun](), list[Exception]()
    for kind in kinds:
        try:
            runs.append(await _run_kind(app_context, kind))
        except Exception as error:  # noqa: BLE001 - raised below, as a group
            failures.append(error)
    if failures:
        msg = "retention failed"
        raise ExceptionGroup(msg, failures)
    return runs


async def _run_kind(app_context: AppContext, kind: RetentionKind) -> RetentionRun:
    """Delete batches until no item is expired. The run is recorded even if a batch fails."""
    started_at = app_context.clock()
    place = app_context.settings.province_code
    province = Scope.wide(build_unit_path("province", place, None))
    policy = policy_at(legal_day(started_at), place)
    totals = DeletionTotals()
    try:
        while await _delete_batch(app_context, kind, province, policy, started_at, totals):
            pass
    finally:
        run = _run_row(kind, province, totals, started_at, app_context.clock())
        async with app_context.database.transaction(province) as session:
            session.add(run)
        if totals.items:
            log.info("retention deleted", kind=kind.name, items=totals.items, files=totals.files)
    return run


async def _delete_batch(
    app_context: AppContext,
    kind: RetentionKind,
    province: Scope,
    policy: PolicyAt,
    at: datetime,
    totals: DeletionTotals,
) -> bool:
    """Delete one batch. Returns whether there may be more."""
    async with app_context.database.transaction(province) as session:
        expired = await kind.find_expired(session, policy, at, BATCH_SIZE)
        names = await _list_files(session, app_context.keys, expired)
    await app_context.evidence.delete(names)
    async with app_context.database.transaction(province) as session:
        ids = [item.id for item in expired]
        marked = set(await kind.mark_deleted(session, ids, at)) if expired else set()
    totals.add([item for item in expired if item.id in marked])
    return len(expired) == BATCH_SIZE


async def _list_files(session: AsyncSession, keys: KeyRing, expired: Sequence[Expired]) -> list[str]:
    """The names of the files of the items. Without its key, a picture is unreadable and has no known name."""
    pictures = [picture for item in expired for picture in item.pictures]
    picture_keys = await load_picture_keys(session, keys, {picture.student_id for picture in pictures})
    names = {key for item in expired for key in item.keys}
    for picture in pictures:
        key = picture_keys.get(picture.student_id)
        if isinstance(key, PictureKey):
            names.add(picture.evidence_key(key))
    return sorted(names)


def _run_row(
    kind: RetentionKind,
    province: Scope,
    totals: DeletionTotals,
    started_at: datetime,
    finished_at: datetime,
) -> RetentionRun:
    return RetentionRun(
        id=new_id(),
        org_path=province.org_path,
        kind=kind.name,
        items=totals.items,
        files=totals.files,
        size_bytes=totals.size_bytes,
        oldest=totals.oldest,
        newest=totals.newest,
        started_at=started_at,
        finished_at=finished_at,
    )

"""Queries on retention runs. Only the province may read them; they contain no personal data."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotPermitted
from backend.retention.tables import RetentionRun


async def list_runs(
    session: AsyncSession, actor: Actor, *, deleting_only: bool, before: UUID | None, limit: int
) -> Sequence[RetentionRun]:
    """The newest runs. Raises NotPermitted unless the actor is of the province."""
    _require_province(actor)
    return await newest_runs(session, deleting_only=deleting_only, before=before, limit=limit)


async def newest_runs(
    session: AsyncSession, *, deleting_only: bool, before: UUID | None, limit: int
) -> Sequence[RetentionRun]:
    """The newest runs, or only those that deleted something. Ids are ordered by time."""
    page = select(RetentionRun).order_by(RetentionRun.id.desc()).limit(limit)
    if deleting_only:
        page = page.where(RetentionRun.items > 0)
    if before is not None:
        page = page.where(RetentionRun.id < before)
    return (await session.scalars(page)).all()


@dataclass(frozen=True, slots=True)
class KindTotal:
    """What the runs over one kind deleted since an instant, and when the newest of them ended."""

    kind: str
    runs: int
    items: int
    files: int
    size_bytes: int | None
    last_run_at: datetime


async def sum_by_kind(session: AsyncSession, actor: Actor, since: datetime) -> list[KindTotal]:
    """The totals of every kind with a run since then, by name. Raises NotPermitted unless the actor is of the province."""
    _require_province(actor)
    totals = (
        select(
            RetentionRun.kind,
            func.count(),
            func.sum(RetentionRun.items),
            func.sum(RetentionRun.files),
            func.sum(RetentionRun.size_bytes),
            func.max(RetentionRun.finished_at),
        )
        .where(RetentionRun.started_at >= since)
        .group_by(RetentionRun.kind)
        .order_by(RetentionRun.kind)
    )
    return [
        KindTotal(kind, runs, int(items), int(files), None if size is None else int(size), last)
        for kind, runs, items, files, size, last in await session.execute(totals)
    ]


def _require_province(actor: Actor) -> None:
    if actor.role != "province":
        raise NotPermitted(
            reason_zh="保存期限的执行记录由省级管理员查看",
            reason_en="only the province may read what retention deleted",
        )

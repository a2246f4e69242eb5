"""Queries on retention runs. Only the province may read them; they contain no personal data."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotPermitted
from backend.retention.tables import RetentionRun


async def list_runs(
    session: AsyncSession, actor: Actor, *, deleting_only: bool, before: UUID | None, limit: int
) -> Sequence[RetentionRun]:
    """The newest runs. Raises NotPermitted unless the actor is of the province."""
    if actor.role != "province":
        raise NotPermitted(
            reason_zh="保存期限的执行记录由省级管理员查看",
            reason_en="only the province may read what retention deleted",
        )
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

"""Queries on differences that the nightly replay found between the stored standing and the facts."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotPermitted
from backend.standing.store.tables import ReplayDifference


async def list_replay_differences(
    session: AsyncSession, actor: Actor, before: UUID | None, limit: int
) -> Sequence[ReplayDifference]:
    """At most `limit` differences of the actor's schools with ids below `before`, newest first; not for counselors."""
    if actor.role not in {"registrar", "bureau", "province"}:
        raise NotPermitted(
            reason_zh="推算差异由学校管理员和教育行政部门查看",
            reason_en="registrars and authorities read the differences of the replay",
        )
    page = select(ReplayDifference).order_by(ReplayDifference.id.desc()).limit(limit)
    if before is not None:
        page = page.where(ReplayDifference.id < before)
    return (await session.scalars(page)).all()

"""Retention of push subscriptions: one that the app has not renewed for long belongs to a browser that is no longer used."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.notice.tables import PushSubscription
from backend.policy import PolicyAt
from backend.retention.deletion import Expired, RetentionKind


async def find_expired_subscriptions(
    session: AsyncSession, policy: PolicyAt, at: datetime, limit: int
) -> Sequence[Expired]:
    """The subscriptions that were renewed longest ago, if their period is over."""
    rows = await session.execute(
        select(PushSubscription.student_id, PushSubscription.created_at)
        .where(PushSubscription.renewed_at <= at - policy.duration("retention.push_subscriptions"))
        .order_by(PushSubscription.renewed_at)
        .limit(limit)
    )
    return [Expired(*row) for row in rows]


async def delete_subscriptions(session: AsyncSession, ids: Sequence[UUID], _at: datetime) -> Collection[UUID]:
    """Delete the subscriptions of these students; returns the ids that were deleted."""
    deleted = delete(PushSubscription).where(PushSubscription.student_id.in_(ids))
    return (await session.scalars(deleted.returning(PushSubscription.student_id))).all()


PUSH_SUBSCRIPTIONS = RetentionKind("push_subscriptions", find_expired_subscriptions, delete_subscriptions)

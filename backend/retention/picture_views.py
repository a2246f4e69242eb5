"""Retention of the record of who looked at which picture. The audit entry of each look stays."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.identity.pictures.tables import PictureView
from backend.policy import PolicyAt
from backend.retention.deletion import Expired, RetentionKind
from backend.retention.legal_holds import has_open_case

_DELETE = text("SELECT * FROM definer.delete_picture_views(:ids, :before)").bindparams(
    bindparam("ids", type_=ARRAY(Uuid()))
)


async def find_expired_views(
    session: AsyncSession, policy: PolicyAt, at: datetime, limit: int
) -> Sequence[Expired]:
    """The oldest entries whose period is over, of students without an open case."""
    rows = await session.execute(
        select(PictureView.id, PictureView.at)
        .where(
            PictureView.at <= at - policy.duration("retention.picture_views"),
            ~has_open_case(PictureView.student_id.expression, policy, at),
        )
        .order_by(PictureView.at)
        .limit(limit)
    )
    return [Expired(*row) for row in rows]


async def delete_views(session: AsyncSession, ids: Sequence[UUID], at: datetime) -> Collection[UUID]:
    """Delete the entries by a function of the database: the application may not delete from the table."""
    return (await session.scalars(_DELETE, {"ids": list(ids), "before": at})).all()


PICTURE_VIEWS = RetentionKind("picture_views", find_expired_views, delete_views)

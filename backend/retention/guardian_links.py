"""Retention of the record of links to guardians. A link that a legal record names stays with it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.people.tables import GuardianLink
from backend.policy import PolicyAt
from backend.retention.deletion import Expired, RetentionKind
from backend.retention.legal_holds import has_open_case
from backend.standing.store.tables import AppealFiled, PromptStatement, ReasonClaimRecord

RECORDS = (ReasonClaimRecord, PromptStatement, AppealFiled)
"""The legal records that name the link of a guardian who filed them."""


async def find_expired_links(
    session: AsyncSession, policy: PolicyAt, at: datetime, limit: int
) -> Sequence[Expired]:
    """The oldest links whose period is over, of students without an open case."""
    rows = await session.execute(
        select(GuardianLink.id, GuardianLink.issued_at)
        .where(
            GuardianLink.expires_at <= at - policy.duration("retention.guardian_links"),
            *(~exists().where(table.guardian_link_id == GuardianLink.id) for table in RECORDS),
            ~has_open_case(GuardianLink.student_id.expression, policy, at),
        )
        .order_by(GuardianLink.expires_at)
        .limit(limit)
    )
    return [Expired(*row) for row in rows]


async def delete_links(session: AsyncSession, ids: Sequence[UUID], _at: datetime) -> Collection[UUID]:
    """Delete the links; returns the ids that were deleted."""
    deleted = delete(GuardianLink).where(GuardianLink.id.in_(ids)).returning(GuardianLink.id)
    return (await session.scalars(deleted)).all()


GUARDIAN_LINKS = RetentionKind("guardian_links", find_expired_links, delete_links)

"""Read models: how far the notices of one cause have come, and whether one recipient was reached."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.notice.tables import Notice, NoticeDelivery, NoticeMessage, NoticeReceipt


@dataclass(frozen=True, slots=True)
class GroupStatistics:
    """Deliveries of a group by channel and state, as far as the caller sees them; `opened` counts notices."""

    group_id: UUID
    recipients: int
    opened: int
    channels: dict[str, dict[str, int]]


async def group_statistics(session: AsyncSession, actor: Actor, group_id: UUID) -> GroupStatistics:
    """Counts of the group below the caller's unit. Raises `NotFound` for none, `NotPermitted` for counselors."""
    if actor.role in {"counselor", "student"}:
        raise NotPermitted(
            reason_zh="只有学校管理员和教育局可以查看送达统计",
            reason_en="delivery statistics are for registrars and bureaus",
        )
    of_group = NoticeDelivery.group_id == group_id
    counted = (
        select(NoticeDelivery.channel, NoticeDelivery.state, func.count())
        .where(of_group)
        .group_by(NoticeDelivery.channel, NoticeDelivery.state)
    )
    channels: dict[str, dict[str, int]] = defaultdict(dict)
    for channel, state, count in await session.execute(counted):
        channels[channel][state] = count
    if not channels:
        raise NotFound
    opened = (
        select(func.count())
        .select_from(NoticeReceipt)
        .join(
            NoticeDelivery,
            (NoticeDelivery.notice_id == NoticeReceipt.notice_id)
            & (NoticeDelivery.channel == NoticeReceipt.channel),
        )
        .where(of_group, NoticeReceipt.event == "opened")
    )
    return GroupStatistics(
        group_id=group_id,
        recipients=await session.scalar(
            select(func.count(func.distinct(NoticeDelivery.notice_id))).where(of_group)
        )
        or 0,
        opened=await session.scalar(opened) or 0,
        channels=dict(channels),
    )


async def first_delivered_at(session: AsyncSession, student_id: UUID, group_id: UUID) -> datetime | None:
    """When a notice of the group first reached the student by any channel, or None: it never provably did.

    A notice that was never delivered blocks a sanction, so this asks the append-only receipts, not the
    working state of deliveries.
    """
    earliest = (
        select(func.min(NoticeReceipt.at))
        .join(Notice, Notice.id == NoticeReceipt.notice_id)
        .join(NoticeMessage, NoticeMessage.id == Notice.message_id)
        .where(
            Notice.student_id == student_id,
            NoticeMessage.group_id == group_id,
            NoticeReceipt.event == "delivered",
        )
    )
    return await session.scalar(earliest)

"""Delivery statistics of the notices of one cause."""

from collections import defaultdict
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Text, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.notice.tables import NoticeDelivery, NoticeReceipt


@dataclass(frozen=True, slots=True)
class GroupStatistics:
    """Deliveries of a group by channel and state, within the caller's scope.

    `recipients` counts people, `notices` what was sent to them: a counselor may get several about different students.
    """

    group_id: UUID
    recipients: int
    notices: int
    opened: int
    channels: dict[str, dict[str, int]]


async def load_group_statistics(session: AsyncSession, actor: Actor, group_id: UUID) -> GroupStatistics:
    """Count the group's deliveries below the caller's unit.

    Raises `NotFound` for an unknown group, `NotPermitted` for counselors and students.
    """
    if actor.role in {"counselor", "student"}:
        raise NotPermitted(
            reason_zh="只有学校管理员和教育局可以查看送达统计",
            reason_en="delivery statistics are for registrars and bureaus",
        )
    of_group = NoticeDelivery.group_id == group_id
    counts = (
        select(NoticeDelivery.channel, NoticeDelivery.state, func.count())
        .where(of_group)
        .group_by(NoticeDelivery.channel, NoticeDelivery.state)
    )
    channels: dict[str, dict[str, int]] = defaultdict(dict)
    for channel, state, count in await session.execute(counts):
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
    person = func.coalesce(
        cast(NoticeDelivery.student_id, Text), cast(NoticeDelivery.account_id, Text), NoticeDelivery.phone
    )
    totals = select(func.count(func.distinct(person)), func.count(func.distinct(NoticeDelivery.notice_id)))
    recipients, notices = (await session.execute(totals.where(of_group))).one()
    return GroupStatistics(
        group_id=group_id,
        recipients=recipients,
        notices=notices,
        opened=await session.scalar(opened) or 0,
        channels=dict(channels),
    )

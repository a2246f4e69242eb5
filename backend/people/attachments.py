"""Attaching uploaded files to a fact, and listing the files of a fact.

`attachment_files` stores and reads the content, `attachment_cleanup` deletes uploads that were never attached.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.org.paths import division_of
from backend.people.attachment_errors import AttachmentUnusable, TooManyAttachments
from backend.people.tables import Attachment, AttachmentLink
from backend.policy import PolicyAt
from backend.policy.installed import policy_at


@dataclass(frozen=True, slots=True)
class AttachmentSubject:
    """The fact that files are attached to: the table and id of its row, and the student it is about."""

    subject_type: str
    subject_id: UUID
    school_id: UUID
    student_id: UUID


@dataclass(frozen=True, slots=True)
class AttachmentView:
    """A file as shown to a reader of the fact it is attached to."""

    id: UUID
    media_type: str
    size_bytes: int
    uploaded_at: datetime

    @staticmethod
    def of(row: Attachment) -> "AttachmentView":
        """The view of a stored row."""
        return AttachmentView(row.id, row.media_type, row.size_bytes, row.uploaded_at)


def attachment_policy(actor: Actor, at: datetime) -> PolicyAt:
    """The policy on attachments at the caller's place."""
    return policy_at(legal_day(at), division_of(actor.org_path))


async def attach_files(
    session: AsyncSession, actor: Actor, attachment_ids: Sequence[UUID], to: AttachmentSubject, at: datetime
) -> None:
    """Attach uploaded files to a fact, after those that it has already. A file is attached once, for good.

    This runs in the transaction that records the fact, or that adds to it. The limit of files is that of the fact.
    Students use their own uploads, staff those of their unit. Raises `AttachmentUnusable` (the same answer for every
    cause) and `TooManyAttachments`.
    """
    if not attachment_ids:
        return
    attached = await _count_attached(session, to)
    limit = attachment_policy(actor, at).integer("attachment.per_subject")
    if attached + len(attachment_ids) > limit:
        raise TooManyAttachments(limit=limit)
    await _check_usable(session, actor, attachment_ids, to)
    rows = [
        AttachmentLink(
            attachment_id=attachment_id,
            school_id=to.school_id,
            student_id=to.student_id,
            subject_type=to.subject_type,
            subject_id=to.subject_id,
            position=position,
            linked_by=actor.account_id,
            linked_at=at,
        )
        for position, attachment_id in enumerate(attachment_ids, attached)
    ]
    try:
        async with session.begin_nested():
            session.add_all(rows)
    except IntegrityError as used_before:
        raise AttachmentUnusable from used_before


async def _count_attached(session: AsyncSession, to: AttachmentSubject) -> int:
    attached = select(func.count()).where(
        AttachmentLink.subject_type == to.subject_type, AttachmentLink.subject_id == to.subject_id
    )
    return await session.scalar(attached) or 0


async def _check_usable(
    session: AsyncSession, actor: Actor, attachment_ids: Sequence[UUID], to: AttachmentSubject
) -> None:
    usable = (
        select(Attachment.id)
        .where(
            Attachment.id.in_(attachment_ids),
            Attachment.student_id == to.student_id,
            Attachment.school_id == to.school_id,
            Attachment.stored_at.is_not(None),
            Attachment.discarded_at.is_(None),
            _uploaded_by_side_of(actor),
        )
        .order_by(Attachment.id)
        .with_for_update(read=True)
    )
    if len((await session.scalars(usable)).all()) != len(attachment_ids):
        raise AttachmentUnusable


def _uploaded_by_side_of(actor: Actor) -> ColumnElement[bool]:
    if actor.role == "student":
        return and_(Attachment.by_student, Attachment.uploaded_by == actor.account_id)
    return and_(~Attachment.by_student, Attachment.uploaded_from == actor.org_path)


async def load_attachments(
    session: AsyncSession, subject_type: str, subject_ids: Collection[UUID]
) -> dict[UUID, list[AttachmentView]]:
    """The files of each fact in the order in which they were given; a fact without files has an empty list.

    The caller has already checked that the facts may be shown.
    """
    views: dict[UUID, list[AttachmentView]] = {subject_id: [] for subject_id in subject_ids}
    rows = await session.execute(
        select(AttachmentLink.subject_id, Attachment)
        .join(Attachment, Attachment.id == AttachmentLink.attachment_id)
        .where(AttachmentLink.subject_type == subject_type, AttachmentLink.subject_id.in_(subject_ids))
        .order_by(AttachmentLink.subject_id, AttachmentLink.position)
    )
    for subject_id, row in rows:
        views[subject_id].append(AttachmentView.of(row))
    return views

"""Storing and reading the content of attachments.

An attachment can contain health data, so its content is encrypted with a key of its own purpose and bound to its row.
The row is written before the content and confirmed after it, so that no stored content is ever without a row.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, time
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import LEGAL_ZONE, legal_day
from backend.core.errors import NotFound
from backend.core.ids import new_id
from backend.people.attachment_errors import AttachmentQuota
from backend.people.attachments import AttachmentView, attachment_policy
from backend.people.queries import classes_of_counselor
from backend.people.tables import Attachment, AttachmentLink, Student

KEY_PURPOSE = "attachment"
VISIBLE_TO_SUPERIORS = (
    "appeal_message",
    "appeal_filed",
    "reason_claim",
    "reason_claim_decision",
    "prompt_statement",
    "prompt_decision",
    "change_request",
    "change_request_step",
)
"""Facts that a superior decides or has decided. Leave is the school's business: it can disclose people's health."""


@dataclass(frozen=True, slots=True)
class FileContent:
    """The content of an inspected file: re-encoded for pictures, unchanged for PDFs."""

    media_type: str
    data: bytes


async def store_upload(
    app_context: AppContext, actor: Actor, student_id: UUID, content: FileContent, at: datetime
) -> AttachmentView:
    """Store a file about a student whom the caller may see; raises `NotFound` and `AttachmentQuota`.

    Row, content, confirmation: after an interruption between any two, the clean-up finds the row and deletes the
    content.
    """
    row = await _create_row(app_context, actor, student_id, content, at)
    sealed = app_context.keys.encrypt(KEY_PURPOSE, content.data, _encryption_context(row.id))
    await app_context.evidence.put(evidence_key(row), sealed)
    async with app_context.database.transaction(actor.scope) as session:
        await session.execute(update(Attachment).where(Attachment.id == row.id).values(stored_at=at))
    return AttachmentView.of(row)


async def _create_row(
    app_context: AppContext, actor: Actor, student_id: UUID, content: FileContent, at: datetime
) -> Attachment:
    async with app_context.database.transaction(actor.scope) as session:
        school_id = await session.scalar(
            select(Student.school_id).where(Student.id == student_id, _visible_student(actor))
        )
        if school_id is None:
            raise NotFound
        await _check_quota(session, actor, student_id, at)
        row = Attachment(
            id=new_id(),
            school_id=school_id,
            student_id=student_id,
            media_type=content.media_type,
            size_bytes=len(content.data),
            sha256=hashlib.sha256(content.data).digest(),
            uploaded_by=actor.account_id,
            uploaded_from=actor.org_path,
            by_student=actor.role == "student",
            uploaded_at=at,
        )
        session.add(row)
        await session.flush()
        audit_attachment(session, actor.org_path, row, "attachment_uploaded", at)
    return row


async def _check_quota(session: AsyncSession, actor: Actor, student_id: UUID, at: datetime) -> None:
    """Limit the uploads of one account about one student per legal day. The lock serialises parallel uploads."""
    lock = func.pg_advisory_xact_lock(func.hashtextextended(f"attachments/{actor.account_id}", 0))
    await session.execute(select(lock))
    midnight = datetime.combine(legal_day(at), time(0), tzinfo=LEGAL_ZONE)
    count = select(func.count()).where(
        Attachment.student_id == student_id,
        Attachment.uploaded_by == actor.account_id,
        Attachment.uploaded_at >= midnight,
    )
    limit = attachment_policy(actor, at).integer("attachment.per_day")
    if (await session.scalar(count) or 0) >= limit:
        raise AttachmentQuota(limit=limit)


async def read_attachment(
    app_context: AppContext,
    actor: Actor,
    attachment_id: UUID,
    at: datetime,
    also_visible: ColumnElement[bool] | None = None,
) -> FileContent:
    """The content of a file that the caller may read; raises `NotFound` otherwise. Reading by staff is audited.

    `also_visible` is a further condition on `Attachment`, `AttachmentLink` and `Student` under which the caller may
    read the file. Raises cryptography's InvalidTag if the stored content was altered or belongs to another row.
    """
    async with app_context.database.transaction(actor.scope) as session:
        row = await _load_visible(session, actor, attachment_id, also_visible)
        if actor.role != "student":
            audit_attachment(session, actor.org_path, row, "attachment_read", at)
    sealed = await app_context.evidence.get(evidence_key(row))
    return FileContent(
        row.media_type, app_context.keys.decrypt(KEY_PURPOSE, sealed, _encryption_context(row.id))
    )


async def _load_visible(
    session: AsyncSession, actor: Actor, attachment_id: UUID, also_visible: ColumnElement[bool] | None
) -> Attachment:
    """Students read their own files, a school's staff those of students they may see, superiors those of facts they
    decide. A file that is not attached yet is readable by its uploader only.
    """
    attached = and_(AttachmentLink.attachment_id.is_not(None), _visible_student(actor))
    if actor.role in {"province", "bureau"}:
        attached = and_(attached, AttachmentLink.subject_type.in_(VISIBLE_TO_SUPERIORS))
    unattached = and_(AttachmentLink.attachment_id.is_(None), Attachment.uploaded_by == actor.account_id)
    row = await session.scalar(
        select(Attachment)
        .join(Student, Student.id == Attachment.student_id)
        .outerjoin(AttachmentLink, AttachmentLink.attachment_id == Attachment.id)
        .where(
            Attachment.id == attachment_id,
            Attachment.stored_at.is_not(None),
            Attachment.discarded_at.is_(None),
            or_(attached, unattached, false() if also_visible is None else also_visible),
        )
    )
    if row is None:
        raise NotFound
    return row


def _visible_student(actor: Actor) -> ColumnElement[bool]:
    """Limit students to themselves and counselors to their classes; row-level security limits all other roles."""
    if actor.role == "student":
        return Student.id.expression == actor.student_id
    if actor.role == "counselor":
        return Student.class_id.in_(classes_of_counselor(actor.counselor_id))
    return Student.id.is_not(None)


def evidence_key(row: Attachment) -> str:
    """The evidence key of the encrypted content."""
    return f"attachment/{row.student_id}/{row.id}"


def _encryption_context(attachment_id: UUID) -> bytes:
    return b"attachment:" + attachment_id.bytes


def audit_attachment(
    session: AsyncSession, org_path: str, row: Attachment, action: str, at: datetime
) -> None:
    """Write an audit entry about a file."""
    after = {"media_type": row.media_type, "size_bytes": row.size_bytes, "sha256": row.sha256.hex()}
    audit.record(session, audit.Act(action, "attachment", str(row.id), org_path, after=after), at)

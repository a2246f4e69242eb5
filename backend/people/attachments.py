"""Files that prove something: uploaded once, hung on one fact, shown to whoever may see that fact.

They may tell of somebody's health, so the content is sealed under a key of its own and bound to its row. A row
comes before its content and is confirmed after it: no content is ever without a row that leads to it.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, false, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import LEGAL_ZONE, legal_day
from backend.core.errors import NotFound
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.org.paths import division_of
from backend.people.attachment_errors import AttachmentQuota, AttachmentUnusable, TooManyAttachments
from backend.people.queries import classes_of_counselor
from backend.people.tables import Attachment, AttachmentLink, Student
from backend.policy import PolicyAt
from backend.policy.installed import policy_at

PURPOSE = "attachment"
SEEN_BY_SUPERIORS = (
    "appeal_message",
    "appeal_filed",
    "reason_claim",
    "reason_claim_decision",
    "prompt_statement",
    "prompt_decision",
    "change_request",
    "change_request_step",
)
"""What a superior judges or has judged. Leave is the school's business: it tells of people's health."""


@dataclass(frozen=True, slots=True)
class AttachedTo:
    """The fact that files hang on: a row's table and id, and whose it is."""

    subject_type: str
    subject_id: UUID
    school_id: UUID
    student_id: UUID


@dataclass(frozen=True, slots=True)
class AttachmentView:
    """What is told of a file to whoever may see the fact it hangs on."""

    id: UUID
    media_type: str
    size_bytes: int
    uploaded_at: datetime


@dataclass(frozen=True, slots=True)
class Content:
    """A file that was looked into: pictures drawn anew, PDFs as they came."""

    media_type: str
    data: bytes


def file_law(actor: Actor, at: datetime) -> PolicyAt:
    """The figures of attachments where the caller is."""
    return policy_at(legal_day(at), division_of(actor.org_path))


# --- receiving ---


async def receive(
    app_context: AppContext, actor: Actor, student_id: UUID, content: Content, at: datetime
) -> AttachmentView:
    """Keep a file about a student in the caller's care; raises `NotFound` and `AttachmentQuota`.

    Row, content, confirmation: cut off anywhere in between, the row is found and its content deleted.
    """
    row = await _announce(app_context, actor, student_id, content, at)
    sealed = app_context.keys.encrypt(PURPOSE, content.data, _context(row.id))
    await app_context.evidence.put(evidence_key(row), sealed)
    async with app_context.database.transaction(actor.scope) as session:
        await session.execute(update(Attachment).where(Attachment.id == row.id).values(stored_at=at))
    return _view(row)


async def _announce(
    app_context: AppContext, actor: Actor, student_id: UUID, content: Content, at: datetime
) -> Attachment:
    async with app_context.database.transaction(actor.scope) as session:
        school_id = await session.scalar(
            select(Student.school_id).where(
                Student.id == student_id, _in_care(actor, Student.id.expression, Student.class_id.expression)
            )
        )
        if school_id is None:
            raise NotFound
        await _within_quota(session, actor, student_id, at)
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
        _trace(session, actor.org_path, row, "attachment_uploaded", at)
    return row


async def _within_quota(session: AsyncSession, actor: Actor, student_id: UUID, at: datetime) -> None:
    """One account's uploads about one student, counted by legal day and one after the other."""
    lock = func.pg_advisory_xact_lock(func.hashtextextended(f"attachments/{actor.account_id}", 0))
    await session.execute(select(lock))
    midnight = datetime.combine(legal_day(at), time(0), tzinfo=LEGAL_ZONE)
    count = select(func.count()).where(
        Attachment.student_id == student_id,
        Attachment.uploaded_by == actor.account_id,
        Attachment.uploaded_at >= midnight,
    )
    limit = file_law(actor, at).integer("attachment.per_day")
    if (await session.scalar(count) or 0) >= limit:
        raise AttachmentQuota(limit=limit)


# --- hanging on a fact ---


async def attach(
    session: AsyncSession, actor: Actor, attachment_ids: Sequence[UUID], to: AttachedTo, at: datetime
) -> None:
    """Hang uploaded files on a fact, in the transaction that records it, each file once and for ever.

    A student's own uploads; for staff, those of their unit. Raises `AttachmentUnusable` (one answer for every
    cause) and `TooManyAttachments`.
    """
    if not attachment_ids:
        return
    limit = file_law(actor, at).integer("attachment.per_subject")
    if len(attachment_ids) > limit:
        raise TooManyAttachments(limit=limit)
    usable = (
        select(Attachment.id)
        .where(
            Attachment.id.in_(attachment_ids),
            Attachment.student_id == to.student_id,
            Attachment.school_id == to.school_id,
            Attachment.stored_at.is_not(None),
            Attachment.discarded_at.is_(None),
            _by_the_callers_side(actor),
        )
        .order_by(Attachment.id)
        .with_for_update(read=True)
    )
    if len((await session.scalars(usable)).all()) != len(attachment_ids):
        raise AttachmentUnusable
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
        for position, attachment_id in enumerate(attachment_ids)
    ]
    try:
        async with session.begin_nested():
            session.add_all(rows)
    except IntegrityError as used_before:
        raise AttachmentUnusable from used_before


async def attachments_of(
    session: AsyncSession, subject_type: str, subject_ids: Collection[UUID]
) -> dict[UUID, list[AttachmentView]]:
    """The files of each fact, in the order they were given; a fact without files has an empty list.

    Whoever shows the fact has judged who may see it.
    """
    found: dict[UUID, list[AttachmentView]] = {subject_id: [] for subject_id in subject_ids}
    rows = await session.execute(
        select(AttachmentLink.subject_id, Attachment)
        .join(Attachment, Attachment.id == AttachmentLink.attachment_id)
        .where(AttachmentLink.subject_type == subject_type, AttachmentLink.subject_id.in_(subject_ids))
        .order_by(AttachmentLink.subject_id, AttachmentLink.position)
    )
    for subject_id, row in rows:
        found[subject_id].append(_view(row))
    return found


# --- reading ---


async def attachment_for(
    session: AsyncSession, actor: Actor, attachment_id: UUID, also: ColumnElement[bool] | None = None
) -> Attachment:
    """A file that the caller may read; else `NotFound`, whatever the cause.

    The student's own; for the school's staff those of students in their care; for superiors what hangs on a matter
    that they judge; for whoever uploaded it, what hangs on nothing yet. `also` says who else may (a condition on
    `Attachment`, `AttachmentLink` and `Student`).
    """
    by_care = and_(
        AttachmentLink.attachment_id.is_not(None),
        _in_care(actor, Student.id.expression, Student.class_id.expression),
    )
    if actor.role in {"province", "bureau"}:
        by_care = and_(by_care, AttachmentLink.subject_type.in_(SEEN_BY_SUPERIORS))
    unhung = and_(AttachmentLink.attachment_id.is_(None), Attachment.uploaded_by == actor.account_id)
    found = await session.scalar(
        _with_students().where(
            Attachment.id == attachment_id,
            Attachment.stored_at.is_not(None),
            Attachment.discarded_at.is_(None),
            or_(by_care, unhung, false() if also is None else also),
        )
    )
    if found is None:
        raise NotFound
    return found


def _with_students() -> Select[Attachment]:
    return (
        select(Attachment)
        .join(Student, Student.id == Attachment.student_id)
        .outerjoin(AttachmentLink, AttachmentLink.attachment_id == Attachment.id)
    )


async def read_attachment(
    app_context: AppContext,
    actor: Actor,
    attachment_id: UUID,
    at: datetime,
    also: ColumnElement[bool] | None = None,
) -> Content:
    """A file that the caller may read (`attachment_for`); who of the staff has read it is on record.

    Raises cryptography's InvalidTag if what is stored was altered or put elsewhere.
    """
    async with app_context.database.transaction(actor.scope) as session:
        row = await attachment_for(session, actor, attachment_id, also)
        if actor.role != "student":
            _trace(session, actor.org_path, row, "attachment_read", at)
    sealed = await app_context.evidence.get(evidence_key(row))
    return Content(row.media_type, app_context.keys.decrypt(PURPOSE, sealed, _context(row.id)))


def evidence_key(row: Attachment) -> str:
    """Where the evidence store keeps the sealed content."""
    return f"attachment/{row.student_id}/{row.id}"


# --- forgetting ---


@dataclass(frozen=True, slots=True)
class Discarded:
    """What a run deleted: files that hung on nothing, and what a cut-off upload left."""

    files: int
    size_bytes: int


async def discard_unused(app_context: AppContext, scope: Scope, at: datetime) -> Discarded:
    """Delete the content of uploads that hang on nothing after the time that policy gives them.

    A file is given up first, so that no fact can take it any more, and deleted after: a run cut off in between
    leaves what the next one finds. The rows stay, for the quota and for the audit.
    """
    async with app_context.database.transaction(scope) as session:
        kept = policy_at(legal_day(at), division_of(scope.org_path)).duration("attachment.unused_kept")
        await _give_up(session, scope, at, kept)
    async with app_context.database.transaction(scope) as session:
        left = select(Attachment).where(Attachment.discarded_at.is_not(None), Attachment.erased_at.is_(None))
        rows = (await session.scalars(left)).all()
    await app_context.evidence.delete([evidence_key(row) for row in rows])
    async with app_context.database.transaction(scope) as session:
        ids = [row.id for row in rows]
        await session.execute(update(Attachment).where(Attachment.id.in_(ids)).values(erased_at=at))
    return Discarded(len(rows), sum(row.size_bytes for row in rows))


async def _give_up(session: AsyncSession, scope: Scope, at: datetime, kept: timedelta) -> None:
    old = (
        select(Attachment.id)
        .where(Attachment.uploaded_at < at - kept, Attachment.discarded_at.is_(None), ~_hung())
        .order_by(Attachment.id)
        .with_for_update(skip_locked=True)
    )
    held = (await session.scalars(old)).all()
    # A fact may have taken a file just before its row was held; a statement of its own sees that.
    given_up = (
        update(Attachment)
        .where(Attachment.id.in_(held), ~_hung())
        .values(discarded_at=at)
        .returning(Attachment)
    )
    for row in (await session.scalars(given_up)).all():
        _trace(session, scope.org_path, row, "attachment_discarded", at)


def _hung() -> ColumnElement[bool]:
    return exists().where(AttachmentLink.attachment_id == Attachment.id)


# --- who is whose ---


def _in_care(
    actor: Actor, student_id: ColumnElement[UUID], class_id: ColumnElement[UUID]
) -> ColumnElement[bool]:
    """The student himself, a counselor's own classes; row-level security limits everybody else."""
    if actor.role == "student":
        return student_id == actor.student_id
    if actor.role == "counselor":
        return class_id.in_(classes_of_counselor(actor.counselor_id))
    return student_id.is_not(None)


def _by_the_callers_side(actor: Actor) -> ColumnElement[bool]:
    if actor.role == "student":
        return and_(Attachment.by_student, Attachment.uploaded_by == actor.account_id)
    return and_(~Attachment.by_student, Attachment.uploaded_from == actor.org_path)


def _context(attachment_id: UUID) -> bytes:
    return b"attachment:" + attachment_id.bytes


def _view(row: Attachment) -> AttachmentView:
    return AttachmentView(row.id, row.media_type, row.size_bytes, row.uploaded_at)


def _trace(session: AsyncSession, org_path: str, row: Attachment, action: str, at: datetime) -> None:
    after = {"media_type": row.media_type, "size_bytes": row.size_bytes, "sha256": row.sha256.hex()}
    audit.record(session, audit.Act(action, "attachment", str(row.id), org_path, after=after), at)

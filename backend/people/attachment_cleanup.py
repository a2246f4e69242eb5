"""Deleting uploads that no fact used."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.app_context import AppContext
from backend.core.clock import legal_day
from backend.core.tenancy import Scope
from backend.org.paths import division_of
from backend.people.attachment_files import audit_attachment, evidence_key
from backend.people.tables import Attachment, AttachmentLink
from backend.policy.installed import policy_at


@dataclass(frozen=True, slots=True)
class DeletedUploads:
    """The number and total size of the files that one run deleted."""

    files: int
    size_bytes: int


async def delete_unused_uploads(app_context: AppContext, scope: Scope, at: datetime) -> DeletedUploads:
    """Delete the content of uploads that are not attached to a fact within the time set by policy.

    A file is first marked as discarded, so that it can no longer be attached, and then deleted: after an interruption
    the next run finds it. The rows stay, for the quota and the audit.
    """
    async with app_context.database.transaction(scope) as session:
        max_age = policy_at(legal_day(at), division_of(scope.org_path)).duration("attachment.unused_kept")
        await _mark_discarded(session, scope, at, max_age)
    async with app_context.database.transaction(scope) as session:
        discarded = select(Attachment).where(
            Attachment.discarded_at.is_not(None), Attachment.erased_at.is_(None)
        )
        rows = (await session.scalars(discarded)).all()
    await app_context.evidence.delete([evidence_key(row) for row in rows])
    async with app_context.database.transaction(scope) as session:
        ids = [row.id for row in rows]
        await session.execute(update(Attachment).where(Attachment.id.in_(ids)).values(erased_at=at))
    return DeletedUploads(len(rows), sum(row.size_bytes for row in rows))


async def _mark_discarded(session: AsyncSession, scope: Scope, at: datetime, max_age: timedelta) -> None:
    expired = (
        select(Attachment.id)
        .where(Attachment.uploaded_at < at - max_age, Attachment.discarded_at.is_(None), ~_is_attached())
        .order_by(Attachment.id)
        .with_for_update(skip_locked=True)
    )
    locked_ids = (await session.scalars(expired)).all()
    # A file may have been attached just before its row was locked. The next statement sees that.
    discarded = (
        update(Attachment)
        .where(Attachment.id.in_(locked_ids), ~_is_attached())
        .values(discarded_at=at)
        .returning(Attachment)
    )
    for row in (await session.scalars(discarded)).all():
        audit_attachment(session, scope.org_path, row, "attachment_discarded", at)


def _is_attached() -> ColumnElement[bool]:
    return exists().where(AttachmentLink.attachment_id == Attachment.id)

"""Saving ledger entries, the status on the roll, and aid releases."""

from collections import defaultdict
from collections.abc import Collection
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.database import equals_any
from backend.core.tenancy import scope_of
from backend.people.tables import Student
from backend.standing.engine.assess import Assessment
from backend.standing.engine.ledger import Cause, LedgerEntry
from backend.standing.engine.trace import decode_canonical
from backend.standing.events import AidReleased, StandingChanged
from backend.standing.store import tables
from backend.standing.store.errors import EnrolledElsewhere
from backend.standing.store.lock import LockedAssessments, LockedStudent


async def load_entry_ids(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, set[str]]:
    """The ids of all stored entries, by student."""
    entry = tables.StandingEntry
    entries: dict[UUID, set[str]] = defaultdict(set)
    for row in await session.execute(
        select(entry.student_id, entry.id).where(equals_any(entry.student_id, ids))
    ):
        entries[row.student_id].add(str(row.id))
    return entries


async def save_entries(
    session: AsyncSession, student: LockedStudent, assessment: Assessment, stored: set[str]
) -> None:
    """Append the entries that are not stored yet. Those of an earlier school were published there."""
    for seq, entry in enumerate(assessment.ledger, start=1):
        if entry.entry_id not in stored:
            await _save_origin(session, student, entry)
            await _save_entry(session, student, seq, entry, assessment.policy_version)
            if not student.subject.is_earlier(entry.at):
                await _publish_entry(session, student, entry, assessment.policy_version)


async def _save_origin(session: AsyncSession, student: LockedStudent, entry: LedgerEntry) -> None:
    """Store the status before the first entry, once."""
    origin = {"standing": entry.before.standing, "study_form": entry.before.study_form, "at": student.at}
    statement = insert(tables.StandingOrigin).values(**student.keys, **origin)
    await session.execute(statement.on_conflict_do_nothing())


async def _save_entry(
    session: AsyncSession, student: LockedStudent, seq: int, entry: LedgerEntry, policy_version: str
) -> None:
    without_account = entry.cause is Cause.EXPIRY or student.subject.is_earlier(entry.at)
    session.add(
        tables.StandingEntry(
            id=UUID(entry.entry_id),
            **student.keys,
            seq=seq,
            at=entry.at,
            cause=entry.cause.value,
            caused_by=entry.caused_by,
            outcome=entry.outcome,
            change_kind=entry.change_kind,
            standing_before=entry.before.standing,
            study_form_before=entry.before.study_form,
            standing_after=entry.after.standing,
            study_form_after=entry.after.study_form,
            prompt_id=UUID(entry.prompt_id) if entry.prompt_id else None,
            reverses=UUID(entry.reverses) if entry.reverses else None,
            acting_account=None if without_account else scope_of(session).account_id,
            policy_version=policy_version,
            trace=decode_canonical(entry.trace),
            recorded_at=student.at,
        )
    )
    await session.flush()


async def _publish_entry(
    session: AsyncSession, student: LockedStudent, entry: LedgerEntry, policy_version: str
) -> None:
    act = audit.Act(
        f"standing.{entry.cause.value}",
        "standing_entry",
        entry.entry_id,
        student.subject.path,
        {"standing": entry.before.standing, "study_form": entry.before.study_form},
        {
            "standing": entry.after.standing,
            "study_form": entry.after.study_form,
            "outcome": entry.outcome,
            "prompt": entry.prompt_id,
            "policy": policy_version,
        },
    )
    audit.record(session, act, student.at)
    event = StandingChanged(**student.event_fields, entry_id=UUID(entry.entry_id), cause=entry.cause.value)
    await outbox.emit(session, event, student.at)


async def save_status(session: AsyncSession, student: LockedStudent, assessment: Assessment) -> None:
    """Write the status that the ledger gives to the roll. No other code writes these two columns.

    Raises `EnrolledElsewhere` if the student would be on two rolls.
    """
    if not assessment.ledger:
        return
    status = assessment.status
    differs = or_(Student.standing != status.standing, Student.study_form != status.study_form)
    try:
        await session.execute(
            update(Student)
            .where(Student.id == student.subject.student_id, differs)
            .values(standing=status.standing, study_form=status.study_form, updated_at=student.at)
        )
    except IntegrityError as error:
        if "uq_student_enrolled" not in str(error.orig):
            raise
        raise EnrolledElsewhere from error


async def save_releases(session: AsyncSession, assessed: LockedAssessments) -> None:
    """Insert aid releases that became due, and publish each new one."""
    releases = {
        UUID(release.change_id): (student, release.at)
        for student, record in assessed
        for release in record.assessment.aid
        if release.at is not None
    }
    if not releases:
        return
    rows = [{"change_id": key, **student.keys, "at": at} for key, (student, at) in releases.items()]
    statement = insert(tables.AidReleaseRecord).values(rows).on_conflict_do_nothing()
    for change_id in await session.scalars(statement.returning(tables.AidReleaseRecord.change_id)):
        student, _ = releases[change_id]
        event = AidReleased(**student.event_fields, change_id=change_id)
        await outbox.emit(session, event, student.at)

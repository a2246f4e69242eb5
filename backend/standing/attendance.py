"""Attendance records: a counselor records that a student was absent or present at an instant (HN334-3.5c, reading 5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.ids import new_id
from backend.org.errors import TermNotSet
from backend.org.paths import division_of
from backend.org.terms import get_term
from backend.policy.installed import policy_at
from backend.standing.access import require_student_access, visible_students
from backend.standing.claims import errors
from backend.standing.engine.facts import StudentFacts
from backend.standing.store.lock import LockedStudent, assess_locked_student, lock_for_assessment
from backend.standing.store.save import recompute_locked, save_assessment
from backend.standing.store.tables import AttendanceEntry


@dataclass(frozen=True, slots=True)
class RecordAttendance:
    """A student was present or absent at `seen_at`."""

    student_id: UUID
    seen_at: datetime
    present: bool
    note: str | None = None


async def record_attendance(
    session: AsyncSession, actor: Actor, command: RecordAttendance, at: datetime
) -> AttendanceEntry:
    """Record attendance for a student of the counselor's classes or the registrar's school, and save the effects.

    The instant must lie in the past, in the current term, and within the days that the policy allows. A mistaken
    absence is corrected by presence at the same instant. Presence cannot be corrected: absence needs a record.
    Raises `NotFound`, `NotPermitted`, `AttendanceTimeInvalid`, `AttendanceRecorded`.
    """
    await require_student_access(session, actor, command.student_id)
    locked = await lock_for_assessment(session, command.student_id, at)
    await _require_recent(session, locked, command.seen_at, at)
    facts, assessment = await assess_locked_student(session, locked)
    await save_assessment(session, locked, assessment)
    _require_new(facts, command)
    row = AttendanceEntry(
        id=new_id(),
        **locked.keys,
        present=command.present,
        at=command.seen_at,
        note=command.note,
        recorded_by=actor.account_id,
        recorded_at=locked.at,
    )
    session.add(row)
    await session.flush()
    after = {"present": row.present, "at": row.at.isoformat()}
    act = audit.Act("attendance.recorded", "attendance_entry", str(row.id), locked.subject.path, after=after)
    audit.record(session, act, locked.at)
    await recompute_locked(session, locked)
    return row


async def _require_recent(
    session: AsyncSession, locked: LockedStudent, seen_at: datetime, at: datetime
) -> None:
    days = policy_at(legal_day(at), division_of(locked.subject.path)).integer("attendance.recorded_within")
    if not at - timedelta(days=days) <= seen_at <= at:
        raise errors.AttendanceTimeInvalid(days=days)
    current = await get_term(session, locked.subject.school_id, legal_day(at))
    try:
        term = await get_term(session, locked.subject.school_id, legal_day(seen_at))
    except TermNotSet as outside:
        raise errors.AttendanceTimeInvalid(days=days) from outside
    if term.code != current.code:
        raise errors.AttendanceTimeInvalid(days=days)


def _require_new(facts: StudentFacts, command: RecordAttendance) -> None:
    recorded = {record.present for record in facts.attendance if record.at == command.seen_at}
    if True in recorded or command.present in recorded:
        raise errors.AttendanceRecorded


async def load_attendance_page(
    session: AsyncSession,
    actor: Actor,
    student_id: UUID,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[AttendanceEntry]:
    """At most `limit` records of a student whom the caller may see, latest instant first, after `before`."""
    await require_student_access(session, actor, student_id)
    key = tuple_(AttendanceEntry.at, AttendanceEntry.id)
    page = (
        select(AttendanceEntry)
        .where(
            AttendanceEntry.student_id == student_id,
            visible_students(actor, AttendanceEntry.student_id.expression),
        )
        .order_by(AttendanceEntry.at.desc(), AttendanceEntry.id.desc())
        .limit(limit)
    )
    if before is not None:
        page = page.where(key < tuple_(*before))
    return (await session.scalars(page)).all()

"""Locking students and assessing them under the law and calendar of this installation."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.errors import NotFound
from backend.org.calendar_years import get_working_calendar
from backend.people import student_lock
from backend.standing.engine.assess import Assessment, assess
from backend.standing.engine.batch import AssessmentRecord, BatchAssessor
from backend.standing.engine.facts import StudentFacts
from backend.standing.store.carry import load_facts
from backend.standing.store.load import StudentRef, load_student_refs, policy_history


@dataclass(frozen=True, slots=True)
class LockedStudent:
    """A student locked by this transaction. `at` is the instant under which the transaction records."""

    subject: StudentRef
    at: datetime

    @property
    def keys(self) -> dict[str, UUID]:
        """The columns `school_id` and `student_id` of every row about the student."""
        return {"school_id": self.subject.school_id, "student_id": self.subject.student_id}

    @property
    def event_fields(self) -> dict[str, Any]:
        """The fields of `StudentEvent`."""
        return {**self.keys, "path": self.subject.path}


LockedAssessments = Sequence[tuple[LockedStudent, AssessmentRecord]]


async def lock_for_assessment(session: AsyncSession, student_id: UUID, at: datetime) -> LockedStudent:
    """Lock the student; raises `NotFound` if the scope does not include the student."""
    locked = await lock_students(session, [student_id], at)
    if not locked:
        raise NotFound
    return locked[0]


async def lock_students(
    session: AsyncSession, student_ids: Collection[UUID], at: datetime
) -> list[LockedStudent]:
    """Lock those of the students whom the scope includes."""
    instants = await student_lock.lock_students(session, student_ids, at)
    # Read the status only after locking: it may have changed while we waited.
    students = await load_student_refs(session, list(instants))
    return [LockedStudent(students[student_id], instant) for student_id, instant in instants.items()]


async def assess_locked_student(
    session: AsyncSession, student: LockedStudent
) -> tuple[StudentFacts, Assessment]:
    """The facts of a locked student, and the assessment as of the lock."""
    calendar = await get_working_calendar(session)
    facts = (await load_facts(session, [student.subject]))[student.subject.student_id]
    return facts, assess(facts, policy_history(student.subject.path), calendar, student.at)


async def assess_locked(
    session: AsyncSession, locked: Collection[LockedStudent]
) -> dict[UUID, AssessmentRecord]:
    """The assessment of each locked student as of its lock."""
    return await _assess_each(session, [(student.subject, student.at) for student in locked])


async def assess_unlocked(
    session: AsyncSession, students: Collection[StudentRef], as_of: datetime
) -> dict[UUID, AssessmentRecord]:
    """The assessment of each student at the instant. Writes nothing; raises `AbsentLaw` if a place has no law."""
    return await _assess_each(session, [(student, as_of) for student in students])


async def compute_assessments(
    session: AsyncSession, students: Collection[StudentRef], as_of: datetime
) -> dict[UUID, Assessment]:
    """`assess_unlocked` without the canonical JSON and digests."""
    records = await assess_unlocked(session, students, as_of)
    return {student_id: record.assessment for student_id, record in records.items()}


async def _assess_each(
    session: AsyncSession, students: Collection[tuple[StudentRef, datetime]]
) -> dict[UUID, AssessmentRecord]:
    assessor = BatchAssessor(await get_working_calendar(session))
    facts = await load_facts(session, [student for student, _ in students])
    return {
        student.student_id: assessor.assess(facts[student.student_id], policy_history(student.path), as_of)
        for student, as_of in students
    }


def digest_assessment(assessment: Assessment) -> bytes:
    """The digest of an assessment; see `AssessmentRecord`."""
    return AssessmentRecord.of(assessment).digest


def has_changed(record: AssessmentRecord, stored_digest: bytes | None) -> bool:
    """Whether an assessment differs from the stored one. With nothing stored, an empty assessment is no change."""
    if stored_digest is None:
        return not record.assessment.is_empty
    return stored_digest != record.digest

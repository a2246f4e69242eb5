"""The records about a student. An entry of the audit log names one of them as its subject."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import String, cast, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.tables import AidApplication, AidFiling
from backend.core.errors import NotFound
from backend.identity.tables import Account
from backend.leave.tables import LeaveRequest
from backend.people.tables import QuarantinedEnrolment, Student
from backend.roll_call.tables import Obligation
from backend.standing.store.event_tables import (
    AppealFiled,
    AttendanceEntry,
    ChangeRequest,
    PromptStatement,
    ReasonClaimRecord,
)
from backend.standing.store.tables import PromptRecord, ReplayDifference, StandingEntry

_RECORDS = (
    Account,
    AidApplication,
    AidFiling,
    AppealFiled,
    AttendanceEntry,
    ChangeRequest,
    LeaveRequest,
    PromptRecord,
    PromptStatement,
    ReasonClaimRecord,
    ReplayDifference,
    StandingEntry,
)
MAX_RECORDS = 5_000


async def load_subjects(session: AsyncSession, student_id: UUID) -> Sequence[str]:
    """The subjects that are a student, or records about the student. Raises `NotFound`."""
    if await session.get(Student, student_id) is None:
        raise NotFound
    ids = union_all(
        *(select(cast(record.id, String)).where(record.student_id == student_id) for record in _RECORDS),
        select(cast(QuarantinedEnrolment.id, String)).where(
            QuarantinedEnrolment.holder_student_id == student_id
        ),
        select(cast(Obligation.roll_call_id, String) + "/" + cast(Obligation.student_id, String)).where(
            Obligation.student_id == student_id
        ),
    ).limit(MAX_RECORDS)
    return [str(student_id), *await session.scalars(ids)]

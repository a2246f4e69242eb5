"""Loads the facts of students with those of the schools that they came from (reading 23)."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.database import equals_any
from backend.core.tenancy import Scope, scope_applied
from backend.org.calendar_years import get_working_calendar
from backend.org.tables import OrgUnit
from backend.people.tables import StudentTransfer
from backend.standing.engine.assess import assess
from backend.standing.engine.facts import CompletedEvidence, StudentFacts
from backend.standing.engine.transfer import Transfer, carry_facts, without_closing
from backend.standing.store.evidence_tables import EvidenceCompleted
from backend.standing.store.load import StudentRef, load_own_facts, load_student_refs, policy_history


@dataclass(frozen=True, slots=True)
class EarlierRecord:
    """The record of a student in the school that the student came from, and the scope that includes it."""

    student_id: UUID
    scope: Scope


async def find_earlier_record(session: AsyncSession, student_id: UUID) -> EarlierRecord | None:
    """The earlier record of a transferred student."""
    query = (
        select(StudentTransfer, OrgUnit.path)
        .join(OrgUnit, OrgUnit.id == StudentTransfer.holder_school_id)
        .where(StudentTransfer.student_id == student_id)
    )
    row = (await session.execute(query)).one_or_none()
    if row is None:
        return None
    transfer, path = row
    return EarlierRecord(transfer.holder_student_id, Scope.school(transfer.holder_school_id, path))


async def load_facts(session: AsyncSession, students: Collection[StudentRef]) -> dict[UUID, StudentFacts]:
    """All recorded facts of each student; the engine ignores those later than its `as_of`."""
    facts = await load_own_facts(session, students)
    transferred = [student.student_id for student in students if student.transferred_at is not None]
    if not transferred:
        return facts
    rows = await session.execute(
        select(StudentTransfer, OrgUnit.path)
        .join(OrgUnit, OrgUnit.id == StudentTransfer.holder_school_id)
        .where(equals_any(StudentTransfer.student_id, transferred))
    )
    for row, path in rows.all():
        facts[row.student_id] = await _add_earlier(session, facts[row.student_id], row, path)
    return facts


async def _add_earlier(
    session: AsyncSession, own: StudentFacts, row: StudentTransfer, path: str
) -> StudentFacts:
    """The facts with those of the earlier school, which this scope does not include."""
    transfer = Transfer(row.at, str(row.closed_by), str(row.opened_by))
    async with scope_applied(session, Scope.school(row.holder_school_id, path)):
        refs = await load_student_refs(session, [row.holder_student_id])
        earlier = (await load_facts(session, list(refs.values())))[row.holder_student_id]
        calendar = await get_working_calendar(session)
    earlier = without_closing(await _complete_evidence(session, row.student_id, earlier), transfer)
    assessed = assess(earlier, policy_history(path), calendar, transfer.at)
    return carry_facts(own, earlier, assessed, transfer)


async def _complete_evidence(session: AsyncSession, student_id: UUID, earlier: StudentFacts) -> StudentFacts:
    """The earlier facts with the evidence that a superior completed on a prompt of the new record."""
    completed: dict[str, list[CompletedEvidence]] = defaultdict(list)
    query = select(EvidenceCompleted).where(EvidenceCompleted.student_id == student_id)
    for row in await session.scalars(query.order_by(EvidenceCompleted.at, EvidenceCompleted.part)):
        completed[str(row.roll_call_id)].append(CompletedEvidence(row.part, row.at, row.delivered_at))
    checks = (
        replace(check, completed=(*check.completed, *completed[check.check_id])) for check in earlier.checks
    )
    return replace(earlier, checks=tuple(checks))

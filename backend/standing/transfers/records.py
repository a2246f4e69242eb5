"""Closing a student's record in one school (转出, 21) and opening it in another one (转入, 22), reading 23."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.ids import new_id
from backend.core.match_keys import match_key
from backend.core.tenancy import Scope, scope_applied, scope_of
from backend.identity.phone_changes.service import propose_numbers
from backend.identity.tables import DeviceKey
from backend.org.paths import division_of
from backend.org.tables import OrgUnit
from backend.people.tables import Guardian, QuarantinedEnrolment, SchoolClass, Student, StudentTransfer
from backend.policy.installed import policy_at
from backend.standing.change_requests.errors import ChangeUnfit
from backend.standing.change_requests.policy import ChangePolicy
from backend.standing.engine.transfer import TRANSFER_IN
from backend.standing.store.lock import assess_locked_student, lock_for_assessment
from backend.standing.store.save import recompute, recompute_locked, save_assessment
from backend.standing.store.tables import StandingEdit
from backend.standing.transfers.errors import RecordLocked, StudentNumberTaken

TRANSFER_OUT_KIND = "21"


@dataclass(frozen=True, slots=True)
class ClosedRecord:
    """A record that was closed for a transfer, by an edit."""

    student_id: UUID
    school_id: UUID
    school_path: str
    closed_by: UUID
    at: datetime


async def close_record(session: AsyncSession, actor: Actor, student_id: UUID, at: datetime) -> ClosedRecord:
    """Transfer the student out. Raises `RecordLocked` and `ChangeUnfit`.

    A locked record needs the approval of every level up to the province (HN334-4.1c), so its school files the change.
    """
    locked = await lock_for_assessment(session, student_id, at)
    _, assessment = await assess_locked_student(session, locked)
    await save_assessment(session, locked, assessment)
    law = ChangePolicy.of(policy_at(legal_day(locked.at), division_of(locked.subject.path)))
    kind = law.kinds[TRANSFER_OUT_KIND]
    status = assessment.status
    if assessment.lock.locked_by is not None and kind.item in law.locked_items:
        raise RecordLocked
    if kind.objection(status) is not None:
        raise ChangeUnfit(
            standing=status.standing, study_form=status.study_form, change_zh=kind.zh, change_en=kind.en
        )
    edit = StandingEdit(
        id=new_id(),
        **locked.keys,
        item=kind.item,
        standing=kind.standing,
        study_form=kind.study_form,
        acting_account=actor.account_id,
        at=locked.at,
    )
    session.add(edit)
    await session.flush()
    await recompute_locked(session, replace(locked, subject=replace(locked.subject, status=status)))
    subject = locked.subject
    return ClosedRecord(student_id, subject.school_id, subject.path, edit.id, locked.at)


async def enrol_row(
    session: AsyncSession, school: OrgUnit, row: QuarantinedEnrolment, at: datetime
) -> Student:
    """Create the student of a quarantined row. Raises `StudentNumberTaken`."""
    if row.student_number_index is not None:
        taken = exists().where(
            Student.school_id == school.id, Student.student_number_index == row.student_number_index
        )
        if await session.scalar(select(taken)):
            raise StudentNumberTaken
    data = dict(row.row_data)
    class_name, members = data.pop("class_name"), data.pop("members")
    student = Student(
        **data | {"birth_date": date.fromisoformat(data["birth_date"])},
        id=row.id,
        school_id=school.id,
        class_id=await _find_or_create_class(session, school, class_name, data, at),
        id_number_sealed=row.id_number_sealed,
        id_number_index=row.id_number_index,
        student_number_sealed=row.student_number_sealed,
        student_number_index=row.student_number_index,
        standing="01",
        row_digest=row.digest,
        created_at=at,
        updated_at=at,
    )
    session.add(student)
    await session.flush()
    session.add_all(
        Guardian(**member | {"id": UUID(member["id"])}, school_id=school.id, student_id=student.id)
        for member in members
    )
    await session.flush()
    return student


async def _find_or_create_class(
    session: AsyncSession, school: OrgUnit, name: str, data: dict[str, Any], at: datetime
) -> UUID:
    key = match_key(name)
    new_class = insert(SchoolClass).values(
        id=new_id(),
        school_id=school.id,
        name=name,
        name_key=key,
        grade=int(data["entry_month"][:4]),
        major=data["major"],
        created_at=at,
    )
    await session.execute(new_class.on_conflict_do_nothing(index_elements=["school_id", "name_key"]))
    query = select(SchoolClass.id).where(SchoolClass.school_id == school.id, SchoolClass.name_key == key)
    return (await session.scalars(query)).one()


async def open_record(
    session: AsyncSession, school: OrgUnit, student: Student, closed: ClosedRecord, at: datetime
) -> None:
    """Open the student's record in the new school. What is on file in the earlier one counts on (reading 23).

    The number of a bound phone goes with the student; another one in the roster is only proposed.
    """
    edit = StandingEdit(
        id=new_id(),
        school_id=school.id,
        student_id=student.id,
        item=TRANSFER_IN,
        acting_account=scope_of(session).account_id,
        at=max(at, closed.at),
    )
    transfer = StudentTransfer(
        student_id=student.id,
        school_id=school.id,
        holder_student_id=closed.student_id,
        holder_school_id=closed.school_id,
        closed_by=closed.closed_by,
        opened_by=edit.id,
        at=closed.at,
    )
    session.add_all([edit, transfer])
    await session.flush()
    act = audit.Act(
        "student.transferred",
        "student",
        str(student.id),
        school.path,
        before={"school": str(closed.school_id), "student": str(closed.student_id)},
        after={"school": str(school.id)},
    )
    audit.record(session, act, at)
    await _keep_bound_number(session, school, student, closed, at)
    await recompute(session, student.id, edit.at)


async def _keep_bound_number(
    session: AsyncSession, school: OrgUnit, student: Student, closed: ClosedRecord, at: datetime
) -> None:
    async with scope_applied(session, Scope.school(closed.school_id, closed.school_path)):
        bound = exists().where(DeviceKey.student_id == closed.student_id)
        known = await session.scalar(select(Student.phone).where(Student.id == closed.student_id, bound))
    proposed = student.phone
    if known is None or known == proposed:
        return
    student.phone = known
    await session.flush()
    if proposed is not None:
        await propose_numbers(session, school, {student.id: proposed}, at)


_TRANSFERRED_OUT = text(
    """
    SELECT s.id AS new_student_id, d.student_id, d.school_id, d.school_path, d.closed_by, d.closed_at
    FROM student s CROSS JOIN LATERAL definer.find_transferred_student(s.id_number_index) d
    WHERE s.id = ANY (CAST(:students AS uuid[])) AND d.school_id <> s.school_id ORDER BY s.id
    """
)


async def open_records_of_newcomers(
    session: AsyncSession, school: OrgUnit, student_ids: Sequence[UUID], at: datetime
) -> int:
    """Open the records of new students whom another school transferred out (21) before; returns their number."""
    rows = (await session.execute(_TRANSFERRED_OUT, {"students": list(student_ids)})).all()
    for row in rows:
        student = await session.get_one(Student, row.new_student_id)
        closed = ClosedRecord(row.student_id, row.school_id, row.school_path, row.closed_by, row.closed_at)
        await open_record(session, school, student, closed, at)
    return len(rows)

"""Decides on the new students of a roster, and records their registration (MOE19-2.3a)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.bulk_insert import insert_rows
from backend.core.clock import legal_day
from backend.core.tenancy import scope_of
from backend.org.calendar_years import get_working_calendar
from backend.org.paths import division_of
from backend.org.tables import OrgUnit
from backend.org.terms import get_all_terms
from backend.people.events import QuarantineDecided
from backend.people.tables import Student
from backend.policy.installed import policy_at
from backend.registration.policy import registration_law
from backend.registration.rules import (
    Basis,
    Decision,
    NewStudent,
    SchoolIntake,
    decide_registration,
    entry_day,
    record_deadline,
)
from backend.registration.schools.files import load_school_file
from backend.registration.schools.policy import qualification_law
from backend.registration.schools.rules import intake_refusal
from backend.registration.tables import CarryOverPermission, StudentRegistration


@dataclass(frozen=True, slots=True)
class Registration:
    """The registration of the students of one kind: what is stored for each of them."""

    decision: Decision
    entered_on: date
    record_due_on: date | None


@dataclass(frozen=True, slots=True)
class EnrolledStudent:
    """A student who came onto the roll. `basis` replaces that of the decision; None keeps it."""

    id: UUID
    registration: Registration
    basis: Basis | None = None


TRANSFERRED = "transferred"
"""The state of a quarantined row whose student was transferred; the row's id became the student's."""

BATCH_SIZE = 5_000
"""Rows sent to the database at a time."""


async def review_new_students(
    session: AsyncSession, school: OrgUnit, students: Iterable[NewStudent], at: datetime
) -> dict[NewStudent, Registration]:
    """Decide on each kind of new student of a school. Requires the school's scope.

    Raises `AbsentLaw`, and `CalendarYearMissing` if the last day of the electronic record cannot be computed.
    """
    today = legal_day(at)
    law = registration_law(policy_at(today, division_of(school.path)))
    calendar = await get_working_calendar(session)
    starts = [term.starts_on for term in (await get_all_terms(session, [school.id]))[school.id]]
    intake = await load_school_intake(session, school, today)
    registrations = {}
    for student in students:
        decision = decide_registration(student, intake, law, today)
        entered_on = entry_day(student.entry_month, starts)
        due_on = record_deadline(entered_on, law, calendar) if decision.basis is Basis.NEW else None
        registrations[student] = Registration(decision, entered_on, due_on)
    return registrations


async def load_school_intake(session: AsyncSession, school: OrgUnit, today: date) -> SchoolIntake:
    """What the decision needs to know of the school."""
    first_at = await session.scalar(
        select(func.min(Student.created_at)).where(Student.school_id == school.id)
    )
    until = await session.scalar(
        select(func.max(CarryOverPermission.until)).where(
            CarryOverPermission.school_id == school.id, CarryOverPermission.until >= today
        )
    )
    law = qualification_law(policy_at(today, division_of(school.path)))
    file = (await load_school_file(session, school.id)).facts
    return SchoolIntake(
        first_roster_on=first_at and legal_day(first_at),
        added_until=until,
        refusal=intake_refusal(file, law, today),
    )


async def store_registrations(
    session: AsyncSession, school_id: UUID, students: Sequence[EnrolledStudent], at: datetime
) -> None:
    """Record the registration of students who have just been enrolled."""
    shared = {
        "school_id": school_id,
        "recorded_on": legal_day(at),
        "recorded_by": scope_of(session).account_id,
        "at": at,
    }
    for first in range(0, len(students), BATCH_SIZE):
        batch = students[first : first + BATCH_SIZE]
        await insert_rows(session, StudentRegistration, [_columns(student) | shared for student in batch])


def _columns(student: EnrolledStudent) -> dict[str, Any]:
    decision = student.registration.decision
    basis = student.basis or decision.basis
    assert basis is not None, "a refused student is not enrolled"
    source = decision.cut_off.citation
    return {
        "student_id": student.id,
        "season": decision.season.code,
        "basis": basis.value,
        "entered_on": student.registration.entered_on,
        "record_due_on": student.registration.record_due_on if basis is Basis.NEW else None,
        "cut_off_on": decision.cut_off.day,
        "instrument": source.reference.instrument,
        "article": source.reference.article,
        "policy_version": source.version,
    }


async def register_transferred_student(session: AsyncSession, event: QuarantineDecided, at: datetime) -> None:
    """Record the registration of a student whom the decision on a quarantined row brought to a school (reading 23)."""
    student = await session.get(Student, event.quarantine_id) if event.state == TRANSFERRED else None
    if student is None or student.entry_month is None:
        return
    school = await session.get_one(OrgUnit, event.school_id)
    kind = NewStudent(student.programme, student.study_form, None, student.entry_month)
    registration = (await review_new_students(session, school, [kind], at))[kind]
    enrolled = EnrolledStudent(student.id, registration, Basis.TRANSFER)
    await store_registrations(session, school.id, [enrolled], at)

"""Reading the roll: classes and students, inside the caller's scope and, for a counselor, inside their classes.

The database hides other schools; that a counselor sees only their own classes is said here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.keys import KeyRing
from backend.people.identifiers import mask
from backend.people.tables import ClassCounselor, Counselor, SchoolClass, Student

ID_NUMBER_LENGTH, STUDENT_NUMBER_LENGTH = 18, 19


def id_number_context(student_id: UUID) -> bytes:
    """What a sealed ID number is bound to, so that it opens in its own row only."""
    return b"student-id-number:" + student_id.bytes


def student_number_context(student_id: UUID) -> bytes:
    """What a sealed student number is bound to."""
    return b"student-number:" + student_id.bytes


def id_number(student: Student, keys: KeyRing) -> str:
    """The ID number in clear; for comparing and masking, never for storing or logging."""
    return keys.decrypt("identifier", student.id_number_sealed, id_number_context(student.id)).decode()


def student_number(student: Student, keys: KeyRing) -> str | None:
    """The student number in clear, as little to be stored as the ID number that it may carry."""
    if student.student_number_sealed is None:
        return None
    context = student_number_context(student.id)
    return keys.decrypt("identifier", student.student_number_sealed, context).decode()


def masked_student_number(student: Student, keys: KeyRing) -> str | None:
    """The student number as people may be shown it."""
    number = student_number(student, keys)
    return mask(number) if number else None


def classes_of_counselor(counselor_id: UUID | None) -> Select[UUID]:
    """The ids of the classes that a counselor looks after now."""
    return select(ClassCounselor.class_id).where(
        ClassCounselor.counselor_id == counselor_id, ClassCounselor.until.is_(None)
    )


def _own_classes(actor: Actor, class_id: ColumnElement[UUID]) -> ColumnElement[bool]:
    """The condition that limits a counselor to their classes and nobody else."""
    if actor.role == "student":
        raise NotPermitted(reason_zh="名册供教职工查阅", reason_en="the roll is for staff")
    return class_id.in_(classes_of_counselor(actor.counselor_id)) if actor.role == "counselor" else true()


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A class, how many students it has, and who looks after it now."""

    school_class: SchoolClass
    students: int
    counselor: Counselor | None


async def classes_page(
    session: AsyncSession, actor: Actor, school_id: UUID | None, after: UUID | None, limit: int
) -> Sequence[ClassRow]:
    """At most `limit` classes behind the id `after`; of one school, if it is named."""
    students = select(func.count()).where(Student.class_id == SchoolClass.id).scalar_subquery()
    page = (
        select(SchoolClass, students, Counselor)
        .outerjoin(
            ClassCounselor, (ClassCounselor.class_id == SchoolClass.id) & ClassCounselor.until.is_(None)
        )
        .outerjoin(Counselor, Counselor.id == ClassCounselor.counselor_id)
        .where(_own_classes(actor, SchoolClass.id.expression))
        .order_by(SchoolClass.id)
        .limit(limit)
    )
    if school_id is not None:
        page = page.where(SchoolClass.school_id == school_id)
    if after is not None:
        page = page.where(SchoolClass.id > after)
    return [ClassRow(*row) for row in await session.execute(page)]


@dataclass(frozen=True, slots=True)
class StudentSearch:
    """Which students: of a school, of a class; `text` is part of a name, or a whole student or ID number."""

    school_id: UUID | None = None
    class_id: UUID | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class StudentRow:
    """A student as staff may read the record: the numbers masked, the class named."""

    id: UUID
    school_id: UUID
    class_id: UUID
    class_name: str
    name: str
    sex: str
    birth_date: date
    document_kind: str
    id_number_masked: str
    student_number_masked: str | None
    programme: str
    study_form: str
    standing: str
    entry_month: str | None
    major: str | None
    phone: str | None


async def students_page(
    session: AsyncSession,
    actor: Actor,
    keys: KeyRing,
    search: StudentSearch,
    after: UUID | None,
    limit: int,
) -> Sequence[StudentRow]:
    """At most `limit` students behind the id `after`."""
    page = _students(actor).order_by(Student.id).limit(limit)
    if search.school_id is not None:
        page = page.where(Student.school_id == search.school_id)
    if search.class_id is not None:
        page = page.where(Student.class_id == search.class_id)
    if search.text is not None:
        page = page.where(_matches(search.text, keys))
    if after is not None:
        page = page.where(Student.id > after)
    return [_row(student, name, keys) for student, name in await session.execute(page)]


async def student_row(session: AsyncSession, actor: Actor, keys: KeyRing, student_id: UUID) -> StudentRow:
    """One student; raises `NotFound` alike for one of another school, of another's class, or none at all."""
    found = (await session.execute(_students(actor).where(Student.id == student_id))).one_or_none()
    if found is None:
        raise NotFound
    return _row(*found, keys)


def _students(actor: Actor) -> Select[Student, str]:
    return (
        select(Student, SchoolClass.name)
        .join(SchoolClass, SchoolClass.id == Student.class_id)
        .where(_own_classes(actor, Student.class_id.expression))
    )


def _matches(text: str, keys: KeyRing) -> ColumnElement[bool]:
    named = Student.name.contains(text, autoescape=True)
    if len(text) == ID_NUMBER_LENGTH:
        return or_(named, Student.id_number_index == keys.blind_index(text))
    if len(text) == STUDENT_NUMBER_LENGTH:
        return or_(named, Student.student_number_index == keys.blind_index(text))
    return named


def _row(student: Student, class_name: str, keys: KeyRing) -> StudentRow:
    return StudentRow(
        id=student.id,
        school_id=student.school_id,
        class_id=student.class_id,
        class_name=class_name,
        name=student.name,
        sex=student.sex,
        birth_date=student.birth_date,
        document_kind=student.document_kind,
        id_number_masked=mask(id_number(student, keys)),
        student_number_masked=masked_student_number(student, keys),
        programme=student.programme,
        study_form=student.study_form,
        standing=student.standing,
        entry_month=student.entry_month,
        major=student.major,
        phone=student.phone,
    )

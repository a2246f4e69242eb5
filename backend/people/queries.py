"""Queries of classes and students.

Row-level security hides other schools; the queries here also limit a counselor to their own classes.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, false, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.keys import KeyRing
from backend.core.listing.pages import ListPage, PageRequest, load_page, reading_in_index_order
from backend.core.listing.sorts import NAME_COLLATION, ListSorts, by_name
from backend.core.match_keys import id_key, name_key
from backend.org.queries import is_of_schools, load_school_scope
from backend.people.identifiers import mask
from backend.people.tables import ClassCounselor, Counselor, SchoolClass, Student

FEW_SCHOOLS = 10
"""The students of so few schools are sorted faster than found among all by name."""

ID_NUMBER_LENGTH, STUDENT_NUMBER_LENGTH = 18, 19


def id_number_context(student_id: UUID) -> bytes:
    """The encryption context of an ID number, which binds it to its row."""
    return b"student-id-number:" + student_id.bytes


def student_number_context(student_id: UUID) -> bytes:
    """The encryption context of a student number."""
    return b"student-number:" + student_id.bytes


def decrypt_id_number(student: Student, keys: KeyRing) -> str:
    """The ID number in plain text, for comparing and masking; never store or log it."""
    return keys.decrypt("identifier", student.id_number_sealed, id_number_context(student.id)).decode()


def decrypt_student_number(student: Student, keys: KeyRing) -> str | None:
    """The student number in plain text; never store or log it, as it can contain the ID number."""
    if student.student_number_sealed is None:
        return None
    context = student_number_context(student.id)
    return keys.decrypt("identifier", student.student_number_sealed, context).decode()


def masked_student_number(student: Student, keys: KeyRing) -> str | None:
    """The masked student number, for display."""
    return mask_student_number(student.id, student.student_number_sealed, keys)


def mask_student_number(student_id: UUID, sealed: bytes | None, keys: KeyRing) -> str | None:
    """The masked student number of a sealed one."""
    if sealed is None:
        return None
    number = keys.decrypt("identifier", sealed, student_number_context(student_id)).decode()
    return mask(number) if number else None


def classes_of_counselor(counselor_id: UUID | None) -> Select[UUID]:
    """The ids of a counselor's current classes."""
    return select(ClassCounselor.class_id).where(
        ClassCounselor.counselor_id == counselor_id, ClassCounselor.until.is_(None)
    )


def _visible_classes(actor: Actor, class_id: ColumnElement[UUID]) -> ColumnElement[bool]:
    """Limit a counselor to their own classes; row-level security limits the other roles."""
    if actor.role == "student":
        raise NotPermitted(reason_zh="名册供教职工查阅", reason_en="only staff can read the roll")
    return class_id.in_(classes_of_counselor(actor.counselor_id)) if actor.role == "counselor" else true()


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A class with its number of students and its current counselor."""

    school_class: SchoolClass
    students: int
    counselor: Counselor | None


@dataclass(frozen=True, slots=True)
class ClassSearch:
    """A filter on classes. `text` is part of a name, `unit_id` the own unit or one below it.

    `unassigned`: without a counselor, or with one.
    """

    school_id: UUID | None = None
    unit_id: UUID | None = None
    text: str | None = None
    counselor_id: UUID | None = None
    unassigned: bool | None = None


_HAS_COUNSELOR = case((ClassCounselor.class_id.is_(None), "0"), else_="1")

ClassSort = Literal["name", "-name", "created_at", "-created_at", "unassigned", "-unassigned"]
CLASS_SORTS = ListSorts(
    SchoolClass.id,
    {
        "created_at": SchoolClass.id,
        "name": by_name(SchoolClass.name),
        # Those without a counselor first, then by name: a registrar works through them in this order.
        "unassigned": (_HAS_COUNSELOR + SchoolClass.name).collate(NAME_COLLATION),
    },
    default="created_at",
)


async def load_class_page(
    session: AsyncSession, actor: Actor, search: ClassSearch, request: PageRequest
) -> ListPage[ClassRow]:
    """A page of classes. Raises `NotFound` for a unit of others."""
    page = _select_classes(actor).where(
        is_of_schools(SchoolClass.school_id, await load_school_scope(session, actor, search.unit_id))
    )
    if search.school_id is not None:
        page = page.where(SchoolClass.school_id == search.school_id)
    if search.text is not None:
        page = page.where(SchoolClass.name.contains(search.text, autoescape=True))
    if search.counselor_id is not None:
        page = page.where(ClassCounselor.counselor_id == search.counselor_id)
    if search.unassigned is not None:
        page = page.where(ClassCounselor.class_id.is_(None) == search.unassigned)
    found = await load_page(session, page, CLASS_SORTS, request)
    return found.with_rows([ClassRow(*row) for row in found.rows])


async def load_class(session: AsyncSession, actor: Actor, class_id: UUID) -> ClassRow:
    """One class; raises `NotFound` for one of another school or, for a counselor, of another counselor."""
    row = (await session.execute(_select_classes(actor).where(SchoolClass.id == class_id))).one_or_none()
    if row is None:
        raise NotFound
    return ClassRow(*row)


def _select_classes(actor: Actor) -> Select[SchoolClass, int, Counselor]:
    students = select(func.count()).where(Student.class_id == SchoolClass.id).scalar_subquery()
    return (
        select(SchoolClass, students, Counselor)
        .outerjoin(
            ClassCounselor, (ClassCounselor.class_id == SchoolClass.id) & ClassCounselor.until.is_(None)
        )
        .outerjoin(Counselor, Counselor.id == ClassCounselor.counselor_id)
        .where(_visible_classes(actor, SchoolClass.id.expression))
    )


@dataclass(frozen=True, slots=True)
class StudentSearch:
    """A filter on students. `text` is part of a name, or a whole student or ID number."""

    school_id: UUID | None = None
    class_id: UUID | None = None
    text: str | None = None
    unit_id: UUID | None = None
    """The own unit or one below it."""


SELECTIVE_CHARACTERS = 2
"""Characters of a name that few students of a province share. One alone may be the surname of every tenth."""
StudentSort = Literal["name", "-name"]
STUDENT_SORTS = ListSorts(Student.id, {"name": by_name(Student.name)}, default="name")


@dataclass(frozen=True, slots=True)
class StudentRow:
    """A student's record as staff may read it, with masked numbers."""

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


async def load_student_page(
    session: AsyncSession,
    actor: Actor,
    keys: KeyRing,
    search: StudentSearch,
    request: PageRequest,
) -> ListPage[StudentRow]:
    """A page of students. Raises `NotFound` for a unit of others."""
    schools = await load_school_scope(session, actor, search.unit_id)
    page = _select_students(actor).where(is_of_schools(Student.school_id, schools))
    if search.school_id is not None:
        page = page.where(Student.school_id == search.school_id)
    if search.class_id is not None:
        page = page.where(Student.class_id == search.class_id)
    spans_many = schools is None or len(schools) > FEW_SCHOOLS
    if not spans_many:
        # Of few schools the students are found by their classes: without this condition all classes are read, and of a
        # large province all students too.
        page = page.where(is_of_schools(SchoolClass.school_id, schools))
    if search.text is not None:
        page = page.where(matches_search(search.text, keys, spans_many=spans_many))
    narrows = search.school_id or search.class_id or search.text
    async with reading_in_index_order(session) if spans_many and not narrows else nullcontext():
        found = await load_page(session, page, STUDENT_SORTS, request)
    return found.with_rows([_student_row(student, name, keys) for student, name in found.rows])


async def load_student(session: AsyncSession, actor: Actor, keys: KeyRing, student_id: UUID) -> StudentRow:
    """One student; raises `NotFound` for a student of another school, of another counselor's class, or an unknown one."""
    row = (await session.execute(_select_students(actor).where(Student.id == student_id))).one_or_none()
    if row is None:
        raise NotFound
    return _student_row(*row, keys)


def _select_students(actor: Actor) -> Select[Student, str]:
    return (
        select(Student, SchoolClass.name)
        .join(SchoolClass, SchoolClass.id == Student.class_id)
        .where(_visible_classes(actor, Student.class_id.expression))
    )


def matches_search(text: str, keys: KeyRing, *, spans_many: bool = False) -> ColumnElement[bool]:
    """Students by a part of the name, or by the whole ID number or student number.

    `spans_many` tells that the scope has many schools, so that an index must find the names.
    """
    key = name_key(text)
    if not key:
        return false()
    length, has_digits = len(id_key(text)), any(character.isdigit() for character in text)
    if has_digits and length == ID_NUMBER_LENGTH:
        return Student.id_number_index == keys.blind_index(text)
    if has_digits and length == STUDENT_NUMBER_LENGTH:
        return Student.student_number_index == keys.blind_index(text)
    if spans_many and len(key) >= SELECTIVE_CHARACTERS:
        return Student.id.in_(select(func.definer.students_named(key).column_valued("found")))
    return Student.name_key.contains(key, autoescape=True)


def _student_row(student: Student, class_name: str, keys: KeyRing) -> StudentRow:
    return StudentRow(
        id=student.id,
        school_id=student.school_id,
        class_id=student.class_id,
        class_name=class_name,
        name=student.name,
        sex=student.sex,
        birth_date=student.birth_date,
        document_kind=student.document_kind,
        id_number_masked=mask(decrypt_id_number(student, keys)),
        student_number_masked=masked_student_number(student, keys),
        programme=student.programme,
        study_form=student.study_form,
        standing=student.standing,
        entry_month=student.entry_month,
        major=student.major,
        phone=student.phone,
    )

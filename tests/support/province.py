"""A sample province for tests, with real divisions and synthetic schools and people.

The province and its term are created once per database and shared. Schools, classes and people are new for each caller,
with unique codes and ID numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from itertools import count
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.clock import legal_day, now
from backend.core.database import Database
from backend.core.errors import NotFound
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.core.tenancy import Scope
from backend.org.divisions import Divisions
from backend.org.paths import build_unit_path
from backend.org.queries import get_unit_by_code
from backend.org.service import NewSchool, add_school, create_province
from backend.org.tables import OrgUnit
from backend.org.terms import NewTerm, get_terms, open_term
from backend.people.categories import DocumentKind, Programme, StudyForm
from backend.people.identifiers import check_character
from backend.people.queries import id_number_context, student_number_context
from backend.people.tables import ClassCounselor, Counselor, SchoolClass, Student
from backend.policy import load_policies

PROVINCE_CODE = "410000"
PROVINCE_PATH = build_unit_path("province", PROVINCE_CODE, None)
CITY_CODE, OTHER_CITY_CODE = "410100", "410300"

_serials = count()


@dataclass(frozen=True, slots=True)
class SampleUnit:
    """An authority or a school."""

    id: UUID
    kind: str
    code: str
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class SampleStudent:
    """A student on the roll, with the numbers in plain text."""

    id: UUID
    school_id: UUID
    class_id: UUID
    name: str
    id_number: str
    student_number: str


@dataclass(frozen=True, slots=True)
class SampleClass:
    """A class with its counselor."""

    id: UUID
    school_id: UUID
    name: str
    counselor_id: UUID
    students: tuple[SampleStudent, ...]


@dataclass(frozen=True, slots=True)
class SampleSchool:
    """A school with its classes."""

    unit: SampleUnit
    classes: tuple[SampleClass, ...]

    @property
    def id(self) -> UUID:
        return self.unit.id

    @property
    def path(self) -> str:
        return self.unit.path

    @property
    def students(self) -> tuple[SampleStudent, ...]:
        return tuple(student for each in self.classes for student in each.students)


@dataclass(frozen=True, slots=True)
class SampleProvince:
    """`school` and `sister` report to `city`, `direct` to the province itself; `other_city` has none of them."""

    province: SampleUnit
    city: SampleUnit
    other_city: SampleUnit
    county: SampleUnit
    school: SampleSchool
    sister: SampleSchool
    direct: SampleSchool
    term_code: str


@dataclass(frozen=True, slots=True)
class _SharedUnits:
    """The units and the term that all sample provinces of a database share."""

    province: SampleUnit
    city: SampleUnit
    other_city: SampleUnit
    county: SampleUnit
    term_code: str


_created: WeakKeyDictionary[Database, _SharedUnits] = WeakKeyDictionary()


async def create_sample_province(
    owner: Database, keys: KeyRing, *, classes: int = 2, students: int = 2
) -> SampleProvince:
    """Create three new schools with `classes` classes of `students` students each."""
    async with owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        shared = _created.get(owner) or await _ensure_shared_units(session)
        units = [
            await _add_school(session, above.id) for above in (shared.city, shared.city, shared.province)
        ]
        school, sister, direct = await _add_people(session, keys, units, classes, students)
    _created[owner] = shared  # only now, as the transaction is committed
    return SampleProvince(
        shared.province,
        shared.city,
        shared.other_city,
        shared.county,
        school,
        sister,
        direct,
        shared.term_code,
    )


async def _ensure_shared_units(session: AsyncSession) -> _SharedUnits:
    province, term_code = await ensure_province(session)
    city = await get_unit_by_code(session, "city", CITY_CODE)
    other_city = await get_unit_by_code(session, "city", OTHER_CITY_CODE)
    county = await get_unit_by_code(session, "county", "410181")
    return _SharedUnits(
        _sample_unit(province), _sample_unit(city), _sample_unit(other_city), _sample_unit(county), term_code
    )


async def ensure_province(session: AsyncSession) -> tuple[OrgUnit, str]:
    """Load or create the province with its divisions and today's term."""
    at, today = now(), legal_day(now())
    try:
        province = await get_unit_by_code(session, "province", PROVINCE_CODE)
    except NotFound:
        province = await create_province(session, Divisions.of(load_policies()), PROVINCE_CODE, at)
    standing = await get_terms(session, [province.id], today)
    if province.id in standing:
        return province, standing[province.id].code
    term = _current_term(today, province.id)
    await open_term(session, province_account(_sample_unit(province)), term, at)
    return province, term.code


def _current_term(today: date, org_id: UUID) -> NewTerm:
    """The term of a day: autumn from September, spring from February, which covers every day."""
    if 2 <= today.month <= 8:
        return NewTerm(org_id, f"{today.year}-spring", date(today.year, 2, 1), date(today.year, 8, 31))
    year = today.year - (today.month == 1)
    return NewTerm(org_id, f"{year}-autumn", date(year, 9, 1), date(year + 1, 1, 31))


async def create_school(
    session: AsyncSession, keys: KeyRing, parent: OrgUnit, *, classes: int, students: int
) -> SampleSchool:
    """Create a school under `parent` with classes and students, in the owner's transaction."""
    [school] = await _add_people(session, keys, [await _add_school(session, parent.id)], classes, students)
    return school


async def _add_school(session: AsyncSession, parent_id: UUID) -> SampleUnit:
    actor = Actor(new_id(), "province", parent_id, PROVINCE_PATH)
    code = unique_school_code()
    return _sample_unit(
        await add_school(session, actor, NewSchool(code, f"第{code}职业学校", parent_id), now())
    )


async def _add_people(
    session: AsyncSession, keys: KeyRing, units: Sequence[SampleUnit], classes: int, students: int
) -> list[SampleSchool]:
    """Add classes, counselors and students to all schools, with one statement per table."""
    rows = [_empty_class(unit, number) for unit in units for number in range(1, classes + 1)]
    session.add_all([row for pair in rows for row in pair])
    await session.flush()  # before the rows that refer to them
    classes_with_students = [_fill_class(session, keys, *pair, students) for pair in rows]
    await session.flush()
    return [
        SampleSchool(unit, tuple(each for each in classes_with_students if each.school_id == unit.id))
        for unit in units
    ]


def unique_school_code() -> str:
    """A ten-digit code that is unique in this database; random codes would collide among thousands of schools."""
    return f"41{next(_school_numbers):08d}"


_school_numbers = count(50_000_000)
"""Unique per process, as each test process has its own database."""


def _empty_class(school: SampleUnit, number: int) -> tuple[Counselor, SchoolClass]:
    at, name = now(), f"2024级{number}班"
    counselor = Counselor(
        id=new_id(), school_id=school.id, name=f"辅导员{number}", phone=None, profile={}, created_at=at
    )
    group = SchoolClass(
        id=new_id(), school_id=school.id, name=name, grade=2024, major="机电技术应用", created_at=at
    )
    return counselor, group


def _fill_class(
    session: AsyncSession, keys: KeyRing, counselor: Counselor, group: SchoolClass, students: int
) -> SampleClass:
    """Assign the counselor to the class from its creation and add students."""
    care = ClassCounselor(
        id=new_id(),
        school_id=group.school_id,
        class_id=group.id,
        counselor_id=counselor.id,
        since=group.created_at,
        until=None,
    )
    session.add(care)
    pupils = tuple(_add_student(session, keys, group) for _ in range(students))
    return SampleClass(group.id, group.school_id, group.name, counselor.id, pupils)


def _add_student(session: AsyncSession, keys: KeyRing, group: SchoolClass) -> SampleStudent:
    serial = next(_serials)
    number = synthetic_id_number(serial)
    pupil = SampleStudent(new_id(), group.school_id, group.id, f"学生{serial}", number, f"G{number}")
    session.add(student_record(pupil, keys))
    return pupil


def student_record(pupil: SampleStudent, keys: KeyRing) -> Student:
    """The row of a full-time student; tests may change it before they add it."""
    at = now()
    return Student(
        id=pupil.id,
        school_id=pupil.school_id,
        class_id=pupil.class_id,
        name=pupil.name,
        sex="male" if int(pupil.id_number[16]) % 2 else "female",
        birth_date=date.fromisoformat(pupil.id_number[6:14]),
        document_kind=DocumentKind.RESIDENT_ID,
        id_number_sealed=keys.encrypt("identifier", pupil.id_number.encode(), id_number_context(pupil.id)),
        id_number_index=keys.blind_index(pupil.id_number),
        student_number_sealed=keys.encrypt(
            "identifier", pupil.student_number.encode(), student_number_context(pupil.id)
        ),
        student_number_index=keys.blind_index(pupil.student_number),
        programme=Programme.REGULAR,
        study_form=StudyForm.FULL_TIME,
        standing="01",
        entry_month="202409",
        major="机电技术应用",
        phone=None,
        record={},
        row_digest=sha256(pupil.id.bytes).digest(),
        created_at=at,
        updated_at=at,
    )


def synthetic_id_number(serial: int) -> str:
    """A valid synthetic ID number: a thousand per birthday, from 2008 on."""
    born = date(2008, 1, 1) + timedelta(days=serial // 1000)
    digits = f"410102{born:%Y%m%d}{serial % 1000:03d}"
    return digits + check_character(digits)


def _sample_unit(row: OrgUnit) -> SampleUnit:
    return SampleUnit(row.id, row.kind, row.code, row.name, row.path)


def province_account(province: SampleUnit) -> Actor:
    """A new account of the province."""
    return Actor(new_id(), "province", province.id, province.path)


def bureau_account(unit: SampleUnit) -> Actor:
    return Actor(new_id(), "bureau", unit.id, unit.path)


def registrar_account(school: SampleSchool) -> Actor:
    return Actor(new_id(), "registrar", school.id, school.path, school_id=school.id)


def counselor_account(school: SampleSchool, klass: SampleClass) -> Actor:
    return Actor(
        new_id(), "counselor", school.id, school.path, school_id=school.id, counselor_id=klass.counselor_id
    )


def student_account(school: SampleSchool, pupil: SampleStudent) -> Actor:
    return Actor(new_id(), "student", school.id, school.path, school_id=school.id, student_id=pupil.id)

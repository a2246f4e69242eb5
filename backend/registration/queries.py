"""Lists of registrations, and the cut-offs that apply at a place."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts, by_name
from backend.org.paths import division_of
from backend.org.queries import get_unit_in_subtree, is_of_schools, load_school_scope, schools_below
from backend.org.tables import OrgUnit
from backend.people.tables import SchoolClass, Student
from backend.policy.installed import policy_at
from backend.registration.permissions import require_registration_reader
from backend.registration.policy import registration_law
from backend.registration.rules import Basis, CutOff, Half, Season, find_cut_off, season_of
from backend.registration.tables import StudentRegistration

IS_LATE = StudentRegistration.recorded_on > StudentRegistration.record_due_on
"""SQL condition: the electronic record was made after its last day."""

# --- students ---


@dataclass(frozen=True, slots=True)
class RegistrationSearch:
    """Filters of the list; None does not filter. `student` is a condition on the student."""

    season: str | None = None
    basis: Basis | None = None
    is_late: bool | None = None
    unit_id: UUID | None = None
    student: ColumnElement[bool] | None = None


@dataclass(frozen=True, slots=True)
class RegistrationRow:
    """A registration with the student."""

    registration: StudentRegistration
    student_name: str
    class_name: str
    programme: str
    study_form: str

    @property
    def is_late(self) -> bool:
        due_on = self.registration.record_due_on
        return due_on is not None and self.registration.recorded_on > due_on


RegistrationSort = Literal["at", "-at", "name", "-name"]
REGISTRATION_SORTS = ListSorts(
    StudentRegistration.student_id,
    {"at": StudentRegistration.student_id, "name": by_name(Student.name)},
    default="-at",
)
"""A student's id begins with the time of the import."""


async def load_registration_page(
    session: AsyncSession, actor: Actor, search: RegistrationSearch, request: PageRequest
) -> ListPage[RegistrationRow]:
    """A page of the registrations of the own unit. Raises `NotPermitted`, and `NotFound` for a unit of others."""
    require_registration_reader(actor)
    schools = await load_school_scope(session, actor, search.unit_id)
    query = (
        select(StudentRegistration, Student.name, SchoolClass.name, Student.programme, Student.study_form)
        .join(Student, Student.id == StudentRegistration.student_id)
        .join(SchoolClass, SchoolClass.id == Student.class_id)
        .where(is_of_schools(StudentRegistration.school_id, schools), *_conditions(search))
    )
    page = await load_page(session, query, REGISTRATION_SORTS, request)
    return page.with_rows([RegistrationRow(*row) for row in page.rows])


def _conditions(search: RegistrationSearch) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if search.season is not None:
        conditions.append(StudentRegistration.season == search.season)
    if search.basis is not None:
        conditions.append(StudentRegistration.basis == search.basis.value)
    if search.is_late is not None:
        conditions.append(IS_LATE if search.is_late else IS_LATE.is_not(True))
    if search.student is not None:
        conditions.append(search.student)
    return conditions


# --- schools ---


@dataclass(frozen=True, slots=True)
class SchoolRegistrations:
    """The registrations of a school in a season. `late` are those whose record was made after its last day."""

    school_id: UUID
    school_name: str
    new: int
    carried_over: int
    transferred: int
    late: int


@dataclass(frozen=True, slots=True)
class SchoolSearch:
    """The season, by default the present one, and the unit above the schools, by default the own one."""

    season: Season | None = None
    unit_id: UUID | None = None


SchoolRegistrationSort = Literal["name", "-name", "code", "-code"]
SCHOOL_SORTS = ListSorts(OrgUnit.id, {"name": by_name(OrgUnit.name), "code": OrgUnit.code}, default="code")


async def load_school_page(
    session: AsyncSession, actor: Actor, search: SchoolSearch, at: datetime, request: PageRequest
) -> ListPage[SchoolRegistrations]:
    """A page of the schools of a unit with the counts of a season. Raises `NotPermitted` and `NotFound`."""
    require_registration_reader(actor)
    unit = await get_unit_in_subtree(session, actor, search.unit_id or actor.org_id)
    season = search.season or _season_on(legal_day(at), unit)
    query = select(OrgUnit.id, OrgUnit.name).where(OrgUnit.id.in_(schools_below(unit.path)))
    page = await load_page(session, query, SCHOOL_SORTS, request)
    counts = await _count_by_school(session, season, [row[0] for row in page.rows])
    return page.with_rows(
        [
            SchoolRegistrations(school_id, name, *counts.get(school_id, (0, 0, 0, 0)))
            for school_id, name in page.rows
        ]
    )


def _season_on(day: date, unit: OrgUnit) -> Season:
    return season_of(f"{day:%Y%m}", registration_law(policy_at(day, division_of(unit.path))))


async def _count_by_school(
    session: AsyncSession, season: Season, school_ids: Sequence[UUID]
) -> dict[UUID, tuple[int, int, int, int]]:
    def count(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.count().filter(condition)

    query = (
        select(
            StudentRegistration.school_id,
            *(count(StudentRegistration.basis == basis.value) for basis in Basis),
            count(IS_LATE),
        )
        .where(StudentRegistration.season == season.code, StudentRegistration.school_id.in_(school_ids))
        .group_by(StudentRegistration.school_id)
    )
    return {row[0]: tuple(row[1:]) for row in await session.execute(query)}


# --- cut-offs ---


@dataclass(frozen=True, slots=True)
class SeasonCutOff:
    """The cut-off of a season for a programme; `programme` None stands for all that have no cut-off of their own."""

    season: Season
    programme: str | None
    cut_off: CutOff
    is_open: bool


@dataclass(frozen=True, slots=True)
class RegistrationCalendar:
    """What applies at the place of a unit on a day."""

    place: str
    today: date
    season: Season
    record_working_days: int
    cut_offs: tuple[SeasonCutOff, ...]


async def load_registration_calendar(
    session: AsyncSession, actor: Actor, unit_id: UUID | None, at: datetime
) -> RegistrationCalendar:
    """The cut-offs of this year's seasons at the place of a unit. Raises `NotPermitted`, `NotFound`, `AbsentLaw`."""
    require_registration_reader(actor)
    unit = await get_unit_in_subtree(session, actor, unit_id or actor.org_id)
    today, place = legal_day(at), division_of(unit.path)
    law = registration_law(policy_at(today, place))
    programmes: dict[str | None, Any] = dict.fromkeys([None, *(rule.programme for rule in law.cut_offs)])
    cut_offs = []
    for half in Half:
        season = Season(today.year, half)
        for programme in programmes:
            cut_off = find_cut_off(season, programme or "", law)
            cut_offs.append(SeasonCutOff(season, programme, cut_off, today <= cut_off.day))
    return RegistrationCalendar(
        place, today, season_of(f"{today:%Y%m}", law), law.record_working_days, tuple(cut_offs)
    )

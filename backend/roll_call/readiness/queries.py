"""Schools by cohort: how many students, whether a rehearsal of them is settled, and when the school was last reminded."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, cast, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.core.actor import Actor
from backend.core.ltree import Ltree
from backend.core.pagination import CursorInvalid
from backend.org.paths import PATH
from backend.org.queries import get_unit_in_subtree, is_in_subtree, is_named, schools_below
from backend.org.tables import OrgUnit
from backend.people.tables import SchoolClass, Student
from backend.roll_call.readiness.cohorts import Cohort
from backend.roll_call.rules import REHEARSAL
from backend.roll_call.tables import RehearsalReminder, RollCall, RollCallClass, RollCallStep

FULL_TIME = "full_time"
IN_SCHOOL_STANDINGS = ("01", "05")
"""National codes of the standings of students who attend: 在读 and 复学."""


@dataclass(frozen=True, slots=True)
class SchoolReadiness:
    """A school and one cohort of it. `rehearsed_at` is the newest settlement of a rehearsal with classes of the cohort."""

    school_id: UUID
    school_name: str
    path: str
    superior_name: str | None
    students: int
    rehearsed_at: datetime | None
    reminded_at: datetime | None


@dataclass(frozen=True, slots=True)
class CohortTotals:
    """Schools with students of a cohort, and how many of them have completed a rehearsal."""

    schools: int
    rehearsed: int


@dataclass(frozen=True, slots=True)
class ReadinessFilter:
    """Filters of the list; None does not filter.

    `text` is part of a school's name or the beginning of its code, `unit_id` the own unit or one below it.
    """

    lagging_only: bool = False
    text: str | None = None
    unit_id: UUID | None = None


async def load_readiness_page(
    session: AsyncSession,
    actor: Actor,
    cohort: Cohort,
    cohorts: Sequence[Cohort],
    wanted: ReadinessFilter,
    after: str | None,
    limit: int,
) -> list[SchoolReadiness]:
    """At most `limit` schools with students of the cohort, in the order of the tree, after the path `after`.

    Raises `CursorInvalid`, and `NotFound` for a unit of others.
    """
    path = actor.org_path
    if wanted.unit_id is not None:
        path = (await get_unit_in_subtree(session, actor, wanted.unit_id)).path
    of_cohort = _is_of_cohort(cohort, cohorts)
    rehearsed = _select_rehearsed(path).where(of_cohort).group_by(RollCallClass.school_id)
    newest = rehearsed.add_columns(func.max(_SETTLED.at).label("at")).subquery("rehearsed")
    superior = aliased(OrgUnit)
    page = (
        select(
            OrgUnit.id,
            OrgUnit.name,
            OrgUnit.path,
            superior.name,
            _students(of_cohort),
            newest.c.at,
            _reminded_at(cohort),
        )
        .outerjoin(superior, superior.id == OrgUnit.parent_id)
        .outerjoin(newest, newest.c.school_id == OrgUnit.id)
        .where(OrgUnit.kind == "school", is_in_subtree(path), _has_students(of_cohort))
        .order_by(OrgUnit.path)
        .limit(limit)
    )
    if wanted.lagging_only:
        page = page.where(newest.c.at.is_(None))
    if wanted.text is not None:
        page = page.where(is_named(wanted.text))
    if after is not None:
        if not PATH.fullmatch(after):
            raise CursorInvalid
        page = page.where(OrgUnit.path > cast(after, Ltree()))
    return [SchoolReadiness(*row) for row in await session.execute(page)]


async def count_schools(session: AsyncSession, actor: Actor, cohorts: Sequence[Cohort]) -> list[CohortTotals]:
    """For each cohort, the schools below the caller with students of it.

    Schools and intakes are read once for all cohorts, and assigned to them here.
    """
    intakes = (
        select(SchoolClass.school_id, SchoolClass.grade)
        .where(SchoolClass.school_id.in_(schools_below(actor.org_path)))
        .distinct()
        .subquery("intakes")
    )
    of_intake = aliased(SchoolClass)
    attended = exists().where(
        of_intake.school_id == intakes.c.school_id,
        of_intake.grade.is_not_distinct_from(intakes.c.grade),
        exists().where(_attends_class(of_intake)),
    )
    with_students = await _load_intakes(session, select(intakes.c.school_id, intakes.c.grade).where(attended))
    rehearsed = await _load_intakes(
        session, _select_rehearsed(actor.org_path).add_columns(SchoolClass.grade).distinct()
    )
    totals = []
    for cohort in cohorts:
        schools = {school for school, grade in with_students if cohort.contains(grade, cohorts)}
        done = {school for school, grade in rehearsed if cohort.contains(grade, cohorts)}
        totals.append(CohortTotals(len(schools), len(schools & done)))
    return totals


async def _load_intakes(
    session: AsyncSession, query: Select[UUID, int | None]
) -> set[tuple[UUID, int | None]]:
    return {(school, grade) for school, grade in await session.execute(query)}


def _is_of_cohort(cohort: Cohort, cohorts: Sequence[Cohort]) -> ColumnElement[bool]:
    """The SQL form of `Cohort.contains`, on a row of `SchoolClass`."""
    if cohort.intake is not None:
        return SchoolClass.grade == cohort.intake
    others = [each.intake for each in cohorts if each.intake is not None]
    return or_(SchoolClass.grade.is_(None), SchoolClass.grade.not_in(others))


def _has_students(of_cohort: ColumnElement[bool]) -> ColumnElement[bool]:
    """The school has a class of the cohort with students."""
    return exists().where(
        SchoolClass.school_id == OrgUnit.id, of_cohort, exists().where(_attends_class(SchoolClass))
    )


def _attends_class(school_class: type[SchoolClass]) -> ColumnElement[bool]:
    return and_(
        Student.school_id == school_class.school_id,
        Student.class_id == school_class.id,
        Student.study_form == FULL_TIME,
        Student.standing.in_(IN_SCHOOL_STANDINGS),
    )


def _students(of_cohort: ColumnElement[bool]) -> ColumnElement[int]:
    counted = (
        select(func.count())
        .select_from(SchoolClass)
        .join(Student, _attends_class(SchoolClass))
        .where(SchoolClass.school_id == OrgUnit.id, of_cohort)
    )
    return counted.correlate(OrgUnit).scalar_subquery()


_SETTLED = aliased(RollCallStep)


def _select_rehearsed(path: str) -> Select[UUID]:
    """The schools below a unit with each class of a settled rehearsal; one that was voided does not count.

    Read for all schools at once: a subquery for each school would look up the rehearsals of the province every time.
    """
    voided = aliased(RollCallStep)
    return (
        select(RollCallClass.school_id)
        .join(
            RollCall,
            and_(RollCallClass.term_code == RollCall.term_code, RollCallClass.roll_call_id == RollCall.id),
        )
        .join(_SETTLED, _SETTLED.roll_call_id == RollCall.id)
        .join(SchoolClass, SchoolClass.id == RollCallClass.class_id)
        .where(
            RollCall.kind == REHEARSAL,
            _SETTLED.step == "settled",
            RollCallClass.school_id.in_(schools_below(path)),
            ~exists().where(voided.roll_call_id == RollCall.id, voided.step == "voided"),
        )
    )


def _reminded_at(cohort: Cohort) -> ScalarSelect[datetime]:
    newest = select(func.max(RehearsalReminder.at)).where(
        RehearsalReminder.school_id == OrgUnit.id, RehearsalReminder.cohort == cohort.code
    )
    return newest.correlate(OrgUnit).scalar_subquery()

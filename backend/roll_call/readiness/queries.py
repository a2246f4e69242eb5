"""Schools by cohort: how many students, whether a rehearsal of them is settled, and when the school was last reminded."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, and_, cast, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.core.actor import Actor
from backend.core.ltree import Ltree
from backend.core.pagination import CursorInvalid
from backend.org.paths import PATH
from backend.org.queries import is_in_subtree
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
    """Only schools below a unit's path; only those without a rehearsal."""

    path: str
    lagging_only: bool = False


async def load_readiness_page(
    session: AsyncSession,
    cohort: Cohort,
    cohorts: Sequence[Cohort],
    wanted: ReadinessFilter,
    after: str | None,
    limit: int,
) -> list[SchoolReadiness]:
    """At most `limit` schools with students of the cohort, in the order of the tree, after the path `after`."""
    of_cohort = _is_of_cohort(cohort, cohorts)
    superior = aliased(OrgUnit)
    page = (
        select(
            OrgUnit.id,
            OrgUnit.name,
            OrgUnit.path,
            superior.name,
            _students(of_cohort),
            _rehearsed_at(of_cohort),
            _reminded_at(cohort),
        )
        .outerjoin(superior, superior.id == OrgUnit.parent_id)
        .where(*_conditions(of_cohort, wanted))
        .order_by(OrgUnit.path)
        .limit(limit)
    )
    if after is not None:
        if not PATH.fullmatch(after):
            raise CursorInvalid
        page = page.where(OrgUnit.path > cast(after, Ltree()))
    return [SchoolReadiness(*row) for row in await session.execute(page)]


async def count_schools(
    session: AsyncSession, actor: Actor, cohort: Cohort, cohorts: Sequence[Cohort]
) -> CohortTotals:
    """The schools below the caller with students of the cohort."""
    of_cohort = _is_of_cohort(cohort, cohorts)
    counts = select(func.count(), func.count().filter(_has_rehearsed(of_cohort))).where(
        *_conditions(of_cohort, ReadinessFilter(actor.org_path))
    )
    schools, rehearsed = (await session.execute(counts)).one()
    return CohortTotals(schools, rehearsed)


def _conditions(of_cohort: ColumnElement[bool], wanted: ReadinessFilter) -> list[ColumnElement[bool]]:
    """The schools below the unit that have a class of the cohort with students."""
    has_students = exists().where(
        SchoolClass.school_id == OrgUnit.id, of_cohort, exists().where(_attends_class())
    )
    conditions = [OrgUnit.kind == "school", is_in_subtree(wanted.path), has_students]
    return [*conditions, ~_has_rehearsed(of_cohort)] if wanted.lagging_only else conditions


def _is_of_cohort(cohort: Cohort, cohorts: Sequence[Cohort]) -> ColumnElement[bool]:
    """The SQL form of `Cohort.contains`, on a row of `SchoolClass`."""
    if cohort.intake is not None:
        return SchoolClass.grade == cohort.intake
    others = [each.intake for each in cohorts if each.intake is not None]
    return or_(SchoolClass.grade.is_(None), SchoolClass.grade.not_in(others))


def _attends_class() -> ColumnElement[bool]:
    return and_(
        Student.school_id == SchoolClass.school_id,
        Student.class_id == SchoolClass.id,
        Student.study_form == FULL_TIME,
        Student.standing.in_(IN_SCHOOL_STANDINGS),
    )


def _students(of_cohort: ColumnElement[bool]) -> ColumnElement[int]:
    counted = (
        select(func.count())
        .select_from(SchoolClass)
        .join(Student, _attends_class())
        .where(SchoolClass.school_id == OrgUnit.id, of_cohort)
    )
    return counted.correlate(OrgUnit).scalar_subquery()


def _rehearsed_at(of_cohort: ColumnElement[bool]) -> ScalarSelect[datetime]:
    """When the newest rehearsal with classes of the cohort was settled; one that was voided does not count."""
    settled, voided = aliased(RollCallStep), aliased(RollCallStep)
    newest = (
        select(func.max(settled.at))
        .join(RollCall, and_(RollCall.id == settled.roll_call_id, RollCall.kind == REHEARSAL))
        .join(
            RollCallClass,
            and_(RollCallClass.term_code == RollCall.term_code, RollCallClass.roll_call_id == RollCall.id),
        )
        .join(SchoolClass, SchoolClass.id == RollCallClass.class_id)
        .where(
            settled.step == "settled",
            RollCallClass.school_id == OrgUnit.id,
            of_cohort,
            ~exists().where(voided.roll_call_id == RollCall.id, voided.step == "voided"),
        )
    )
    return newest.correlate(OrgUnit).scalar_subquery()


def _has_rehearsed(of_cohort: ColumnElement[bool]) -> ColumnElement[bool]:
    return _rehearsed_at(of_cohort).is_not(None)


def _reminded_at(cohort: Cohort) -> ScalarSelect[datetime]:
    newest = select(func.max(RehearsalReminder.at)).where(
        RehearsalReminder.school_id == OrgUnit.id, RehearsalReminder.cohort == cohort.code
    )
    return newest.correlate(OrgUnit).scalar_subquery()

"""A school's readiness for roll calls: every full-time student needs an active counselor (HN334-3.2)."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.identity.accounts.activation import is_activated, step_conditions
from backend.identity.tables import Account
from backend.org.queries import schools_below
from backend.org.tables import OrgUnit
from backend.people.queries import classes_of_counselor
from backend.people.tables import ClassCounselor, Student

IN_SCHOOL_STANDINGS = ("01", "05")
"""National codes of the standings of students who attend: 在读 and 复学."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Counts of the full-time students in school."""

    school_id: UUID
    school_name: str
    full_time: int
    without_counselor: int
    with_phone: int
    activated: int

    @property
    def ready(self) -> bool:
        """Whether the school has full-time students and each has an active counselor."""
        return self.full_time > 0 and self.without_counselor == 0


async def load_readiness_page(
    session: AsyncSession, actor: Actor, after: UUID | None, limit: int
) -> list[Readiness]:
    """At most `limit` visible schools after the id `after`. A counselor's counts cover their own classes only."""
    page = _select_schools(actor, after, limit).subquery()
    full_time_students = and_(
        Student.school_id.in_(select(page.c.id)),
        Student.study_form == "full_time",
        Student.standing.in_(IN_SCHOOL_STANDINGS),
    )
    if actor.role == "counselor":
        full_time_students = and_(
            full_time_students, Student.class_id.in_(classes_of_counselor(actor.counselor_id))
        )
    students = (
        select(
            Student.school_id,
            _has_active_counselor().label("has_counselor"),
            step_conditions()["account"].label("with_phone"),
            is_activated().label("activated"),
        )
        .where(full_time_students)
        .subquery()
    )
    counts = (
        select(
            page.c.id,
            page.c.name,
            func.count(students.c.school_id),
            func.count().filter(~students.c.has_counselor),
            func.count().filter(students.c.with_phone),
            func.count().filter(students.c.activated),
        )
        .select_from(page.outerjoin(students, students.c.school_id == page.c.id))
        .group_by(page.c.id, page.c.name)
        .order_by(page.c.id)
    )
    return [Readiness(*row) for row in await session.execute(counts)]


def _select_schools(actor: Actor, after: UUID | None, limit: int) -> Select[UUID, str]:
    schools = (
        select(OrgUnit.id, OrgUnit.name).where(OrgUnit.kind == "school").order_by(OrgUnit.id).limit(limit)
    )
    if actor.school_id is None:
        schools = schools.where(OrgUnit.id.in_(schools_below(actor.org_path)))
    else:
        schools = schools.where(OrgUnit.id == actor.school_id)
    if after is not None:
        schools = schools.where(OrgUnit.id > after)
    return schools


def _has_active_counselor() -> ColumnElement[bool]:
    """The SQL condition, on a row of `Student`, that the class has a current counselor with an active account."""
    return exists().where(
        ClassCounselor.class_id == Student.class_id,
        ClassCounselor.until.is_(None),
        exists().where(Account.counselor_id == ClassCounselor.counselor_id, Account.status == "active"),
    )

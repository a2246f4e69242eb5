"""Who was turned part-time, by school and term: it ends checks and aid, so it can also hide absentees (reading 15)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.core.actor import Actor
from backend.core.errors import NotPermitted
from backend.org.queries import under
from backend.org.tables import OrgUnit
from backend.org.terms import TermView, all_terms_of
from backend.people.categories import StudyForm
from backend.people.tables import Student
from backend.roll_call.rules import ACTIVE_STANDINGS
from backend.standing.ledger.queries import term_with_code, within
from backend.standing.store.tables import StandingEntry


@dataclass(frozen=True, slots=True)
class Conversions:
    """One school in one term. `share` is of those who are full-time now or were before they were turned part-time."""

    school_id: UUID
    school_name: str
    term: str
    students: int
    by_decision: int
    by_expiry: int
    by_edit: int
    restored: int
    full_time: int
    share: float | None


@dataclass(frozen=True, slots=True)
class _Turned:
    student_id: UUID
    cause: str
    restored: bool
    still_part_time: bool


async def conversions_page(
    session: AsyncSession, actor: Actor, term: str, after: UUID | None, limit: int
) -> Sequence[Conversions]:
    """At most `limit` schools below the caller behind the id `after`, each in its own days of the term.

    Raises `NotPermitted` and `BadInput` (no such term in the caller's unit).
    """
    if actor.role not in {"province", "bureau"}:
        raise NotPermitted(
            reason_zh="转为非全日制的统计供上级教育部门查阅", reason_en="this report is for the superiors"
        )
    common = await term_with_code(session, actor, term)
    page = (
        select(OrgUnit.id, OrgUnit.name)
        .where(OrgUnit.kind == "school", under(actor.org_path))
        .order_by(OrgUnit.id)
        .limit(limit)
    )
    if after is not None:
        page = page.where(OrgUnit.id > after)
    schools = {row.id: row.name for row in await session.execute(page)}
    own = await all_terms_of(session, schools)
    terms = {
        school_id: next((view for view in views if view.code == term), common)
        for school_id, views in own.items()
    }
    if not schools:
        return []
    turned, full_time = await _turned(session, terms), await _full_time(session, schools)
    return [
        _counted((school_id, name), term, turned[school_id], full_time.get(school_id, 0))
        for school_id, name in schools.items()
    ]


async def _turned(session: AsyncSession, terms: dict[UUID, TermView]) -> dict[UUID, list[_Turned]]:
    """Every turn from full-time to part-time in each school's days of the term."""
    entry, later = StandingEntry, aliased(StandingEntry)
    in_term = or_(
        *(
            and_(entry.school_id == school_id, within(entry.at.expression, term))
            for school_id, term in terms.items()
        )
    )
    rows = await session.execute(
        select(
            entry.school_id,
            entry.student_id,
            entry.cause,
            exists().where(later.reverses == entry.id),
            Student.study_form == StudyForm.PART_TIME,
        )
        .join(Student, Student.id == entry.student_id)
        .where(
            in_term,
            entry.study_form_before == StudyForm.FULL_TIME,
            entry.study_form_after == StudyForm.PART_TIME,
        )
    )
    found: dict[UUID, list[_Turned]] = defaultdict(list)
    for school_id, student_id, cause, restored, still_part_time in rows:
        found[school_id].append(_Turned(student_id, cause, restored, still_part_time))
    return found


async def _full_time(session: AsyncSession, schools: dict[UUID, str]) -> dict[UUID, int]:
    """Full-time students who attend, by school, as of now."""
    rows = await session.execute(
        select(Student.school_id, func.count().label("students"))
        .where(
            Student.school_id.in_(schools),
            Student.study_form == StudyForm.FULL_TIME,
            Student.standing.in_(ACTIVE_STANDINGS),
        )
        .group_by(Student.school_id)
    )
    return {row.school_id: row.students for row in rows}


def _counted(school: tuple[UUID, str], term: str, turned: Sequence[_Turned], full_time: int) -> Conversions:
    students = {each.student_id for each in turned}
    gone = {each.student_id for each in turned if each.still_part_time}
    were = full_time + len(gone)
    return Conversions(
        *school,
        term=term,
        students=len(students),
        by_decision=sum(each.cause == "decision" for each in turned),
        by_expiry=sum(each.cause == "expiry" for each in turned),
        by_edit=sum(each.cause == "edit" for each in turned),
        restored=sum(each.restored for each in turned),
        full_time=full_time,
        share=round(len(students) / were, 4) if were else None,
    )

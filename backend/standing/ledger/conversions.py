"""Report of students changed to part-time, by school and term.

Part-time study ends roll calls and aid, so it can also hide absent students (reading 15).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.core.actor import Actor
from backend.core.errors import NotPermitted
from backend.org.queries import is_in_subtree
from backend.org.tables import OrgUnit
from backend.org.terms import TermView, get_all_terms
from backend.people.categories import StudyForm
from backend.people.tables import Student
from backend.roll_call.rules import ACTIVE_STANDINGS
from backend.standing.ledger.queries import is_within_term, load_term_with_code
from backend.standing.store.tables import StandingEntry


@dataclass(frozen=True, slots=True)
class Conversions:
    """The figures of one school in one term. `share` relates to all students who are full-time now or were before."""

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
class _Conversion:
    """One change from full-time to part-time."""

    student_id: UUID
    cause: str
    restored: bool
    still_part_time: bool


async def load_conversions_page(
    session: AsyncSession, actor: Actor, term: str, after: UUID | None, limit: int
) -> Sequence[Conversions]:
    """At most `limit` schools below the caller with ids after `after`, each with its own dates of the term.

    Raises `NotPermitted`, and `TermUnknown` if the caller's unit has no such term.
    """
    if actor.role not in {"province", "bureau"}:
        raise NotPermitted(
            reason_zh="转为非全日制的统计供上级教育部门查阅",
            reason_en="this report is for superior authorities",
        )
    common = await load_term_with_code(session, actor, term)
    page = (
        select(OrgUnit.id, OrgUnit.name)
        .where(OrgUnit.kind == "school", is_in_subtree(actor.org_path))
        .order_by(OrgUnit.id)
        .limit(limit)
    )
    if after is not None:
        page = page.where(OrgUnit.id > after)
    schools = {row.id: row.name for row in await session.execute(page)}
    own = await get_all_terms(session, schools)
    terms = {
        school_id: next((view for view in views if view.code == term), common)
        for school_id, views in own.items()
    }
    if not schools:
        return []
    conversions = await _load_conversions(session, terms)
    full_time = await _count_full_time(session, schools)
    return [
        _summarise((school_id, name), term, conversions[school_id], full_time.get(school_id, 0))
        for school_id, name in schools.items()
    ]


async def _load_conversions(
    session: AsyncSession, terms: dict[UUID, TermView]
) -> dict[UUID, list[_Conversion]]:
    """Every conversion in each school's days of the term."""
    entry, later = StandingEntry, aliased(StandingEntry)
    in_term = or_(
        *(
            and_(entry.school_id == school_id, is_within_term(entry.at.expression, term))
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
    conversions: dict[UUID, list[_Conversion]] = defaultdict(list)
    for school_id, student_id, cause, restored, still_part_time in rows:
        conversions[school_id].append(_Conversion(student_id, cause, restored, still_part_time))
    return conversions


async def _count_full_time(session: AsyncSession, schools: dict[UUID, str]) -> dict[UUID, int]:
    """The current number of active full-time students, by school."""
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


def _summarise(
    school: tuple[UUID, str], term: str, conversions: Sequence[_Conversion], full_time: int
) -> Conversions:
    students = {each.student_id for each in conversions}
    part_time = {each.student_id for each in conversions if each.still_part_time}
    full_time_before = full_time + len(part_time)
    return Conversions(
        *school,
        term=term,
        students=len(students),
        by_decision=sum(each.cause == "decision" for each in conversions),
        by_expiry=sum(each.cause == "expiry" for each in conversions),
        by_edit=sum(each.cause == "edit" for each in conversions),
        restored=sum(each.restored for each in conversions),
        full_time=full_time,
        share=round(len(students) / full_time_before, 4) if full_time_before else None,
    )

"""Lists of the qualification of schools, and the file of one."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotFound
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts, by_name
from backend.org.paths import division_of
from backend.org.queries import get_unit_in_subtree, is_in_subtree, is_named
from backend.org.tables import OrgUnit
from backend.org.terms import TermView, get_all_terms
from backend.policy.installed import policy_at
from backend.registration.permissions import require_registration_reader
from backend.registration.rules import Refusal
from backend.registration.schools.files import StoredFile, load_school_file, load_school_files
from backend.registration.schools.policy import qualification_law
from backend.registration.schools.rules import (
    Conclusion,
    MeasureKind,
    current_measure,
    inspection_due_on,
    intake_refusal,
    is_overdue,
    next_measure,
)
from backend.registration.schools.tables import SchoolInspection

InspectionState = Literal["passed", "failed", "missing"]


@dataclass(frozen=True, slots=True)
class QualificationSearch:
    """Filters of the list; None does not filter. `text` is part of a name or the beginning of a code."""

    year: int
    state: InspectionState | None = None
    text: str | None = None
    unit_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Qualification:
    """The qualification of a school on a day, with the inspection of a year.

    `due_on`: the day before the spring term; None if no such term is on file. `refusal`: why the school may not
    register new students.
    """

    school_id: UUID
    school_name: str
    path: str
    licence_until: date | None
    year: int
    conclusion: Conclusion | None
    mend_by: date | None
    mended_on: date | None
    published_on: date | None
    due_on: date | None
    is_overdue: bool
    measure: MeasureKind | None
    refusal: Refusal | None


@dataclass(frozen=True, slots=True)
class QualificationFile:
    """Everything on file about a school, and the measure that may come next."""

    qualification: Qualification
    rows: StoredFile
    next_measure: MeasureKind | None


QualificationSort = Literal["name", "-name", "code", "-code"]
QUALIFICATION_SORTS = ListSorts(
    OrgUnit.id, {"name": by_name(OrgUnit.name), "code": OrgUnit.code}, default="code"
)
_Later = aliased(SchoolInspection)


async def load_qualification_page(
    session: AsyncSession, actor: Actor, search: QualificationSearch, at: datetime, request: PageRequest
) -> ListPage[Qualification]:
    """A page of the schools of a unit. Raises `NotPermitted`, and `NotFound` for a unit of others."""
    require_registration_reader(actor)
    unit = await get_unit_in_subtree(session, actor, search.unit_id or actor.org_id)
    query = select(OrgUnit).where(OrgUnit.kind == "school", is_in_subtree(unit.path))
    if search.text is not None:
        query = query.where(is_named(search.text))
    if search.state is not None:
        query = query.where(_has_state(search.state, search.year))
    page = await load_page(session, query, QUALIFICATION_SORTS, request)
    schools = [row[0] for row in page.rows]
    files = await load_school_files(session, [each.id for each in schools])
    terms = await get_all_terms(session, [each.id for each in schools])
    return page.with_rows(
        [_describe(each, files[each.id], terms[each.id], search.year, at) for each in schools]
    )


async def load_qualification(
    session: AsyncSession, actor: Actor, school_id: UUID, at: datetime
) -> QualificationFile:
    """The file of a school of the own unit. Raises `NotPermitted` and `NotFound`."""
    require_registration_reader(actor)
    school = await get_unit_in_subtree(session, actor, school_id)
    if school.kind != "school":
        raise NotFound
    file = await load_school_file(session, school.id)
    terms = (await get_all_terms(session, [school.id]))[school.id]
    law = qualification_law(policy_at(legal_day(at), division_of(school.path)))
    described = _describe(school, file, terms, legal_day(at).year, at)
    return QualificationFile(described, file, next_measure(file.facts, law))


def _has_state(state: InspectionState, year: int) -> ColumnElement[bool]:
    """SQL condition: the last inspection of the year has the conclusion, or there is none."""
    of_year = exists().where(SchoolInspection.school_id == OrgUnit.id, SchoolInspection.year == year)
    if state == "missing":
        return ~of_year
    later = exists().where(
        _Later.school_id == OrgUnit.id, _Later.year == year, _Later.id > SchoolInspection.id
    )
    return of_year.where(SchoolInspection.conclusion == state, ~later)


def _describe(
    school: OrgUnit, file: StoredFile, terms: list[TermView], year: int, at: datetime
) -> Qualification:
    today, facts = legal_day(at), file.facts
    law = qualification_law(policy_at(today, division_of(school.path)))
    of_year = [each for each in file.inspections if each.year == year]
    last = of_year[-1] if of_year else None
    published_on = file.day_of(last, "published") if last else None
    due_on = inspection_due_on(year, [term.starts_on for term in terms], law)
    in_force = [licence.valid_until for licence in facts.licences if licence.in_force(today)]
    measure = current_measure(facts)
    return Qualification(
        school_id=school.id,
        school_name=school.name,
        path=school.path,
        licence_until=max(in_force, default=None),
        year=year,
        conclusion=Conclusion(last.conclusion) if last else None,
        mend_by=last.mend_by if last else None,
        mended_on=file.day_of(last, "mended") if last else None,
        published_on=published_on,
        due_on=due_on,
        is_overdue=is_overdue(published_on, due_on, today),
        measure=measure.kind if measure else None,
        refusal=intake_refusal(facts, law, today),
    )

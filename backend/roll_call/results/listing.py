"""The results of all students of a roll call."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.database import equals_any
from backend.core.listing.pages import (
    ListPage,
    PageRequest,
    count_rows,
    load_page,
    reading_in_index_order,
)
from backend.core.listing.sorts import ListSorts, by_name
from backend.org.tables import OrgUnit
from backend.people.tables import SchoolClass, Student
from backend.roll_call import rules
from backend.roll_call.results.audience import (
    FEW_SCHOOLS,
    FEW_STUDENTS,
    current_outcome,
    filter_audience,
    find_matching,
    load_audience_schools,
    select_not_present,
)
from backend.roll_call.results.totals import exact_total, load_audience_counts
from backend.roll_call.tables import Obligation, OutcomeEntry, RollCall


@dataclass(frozen=True, slots=True)
class Result:
    """A student of the audience with the current outcome."""

    obligation: Obligation
    student: Student
    school_class: SchoolClass
    outcome: OutcomeEntry | None


@dataclass(frozen=True, slots=True)
class ResultFilter:
    """Which results to list."""

    outcome: str | None = None
    class_id: UUID | None = None
    school_id: UUID | None = None
    matching: ColumnElement[bool] | None = None
    """A condition on `student` rows."""
    unit_path: str | None = None
    """Only the schools below this unit."""


ResultSort = Literal["name", "-name"]
RESULT_SORTS = ListSorts(Obligation.student_id, {"name": by_name(Student.name)}, default="name")


async def load_results_page(
    session: AsyncSession, actor: Actor, roll_call: RollCall, filters: ResultFilter, request: PageRequest
) -> ListPage[Result]:
    """A page of the audience with the current outcomes, by name. Raises `CursorInvalid`, `CursorOfOtherSort`.

    The students of the page are found first, and their outcomes afterwards: otherwise PostgreSQL looks up the outcomes of
    all students before it sorts them.
    """
    schools = await _load_schools(session, actor, roll_call, filters)
    rare = _select_rare(roll_call, filters, schools)
    is_wide = len(schools) > FEW_SCHOOLS and filters.class_id is None
    matching_ids = None
    if is_wide and filters.matching is not None:
        matching_ids = await find_matching(session, filters.matching, None if rare is None else roll_call)
    in_order, total = is_wide and filters.matching is None and filters.outcome is None, None
    if filters.matching is None and (request.with_total or (is_wide and not in_order)):
        counts = await load_audience_counts(session, actor, roll_call, schools, filters.class_id)
        count = counts.results(filters.outcome)
        total = exact_total(count)
        in_order = is_wide and count > FEW_STUDENTS
    ids = _select_ids(actor, roll_call, filters, schools, matching_ids)
    if rare is not None and matching_ids is None and not in_order:
        ids = ids.where(Obligation.student_id.in_(rare))
    if total is None and request.with_total:
        total = await count_rows(session, ids, RESULT_SORTS)
    named = ids.join(Student, Student.id == Obligation.student_id)
    async with reading_in_index_order(session) if in_order else nullcontext():
        found = await load_page(session, named, RESULT_SORTS, replace(request, with_total=False))
    results = await _load_results(session, roll_call, [student_id for (student_id,) in found.rows])
    return ListPage(results, found.next_cursor, total if request.with_total else None)


def _select_ids(
    actor: Actor,
    roll_call: RollCall,
    filters: ResultFilter,
    schools: Sequence[UUID],
    matching_ids: Sequence[UUID] | None,
) -> Select[*tuple[Any, ...]]:
    """The students whom the filters find, by the tables that these need.

    `matching_ids` are the students that the search finds, if they are known already.
    """
    query = select(Obligation.student_id).select_from(Obligation)
    if filters.outcome is not None:
        outcome = current_outcome(roll_call)
        query = query.join(outcome, true()).where(outcome.outcome == filters.outcome)
    is_limited = matching_ids is None or filters.unit_path is not None or filters.school_id is not None
    query = filter_audience(
        query, actor, roll_call, schools if is_limited else None, filters.class_id, matching_ids
    )
    if matching_ids is None and filters.matching is not None:
        query = query.where(Obligation.student_id.in_(select(Student.id).where(filters.matching)))
    return query


async def _load_results(session: AsyncSession, roll_call: RollCall, ids: Sequence[UUID]) -> Sequence[Result]:
    """The results of students, in the order of their ids in the list."""
    outcome = current_outcome(roll_call)
    query = (
        select(Obligation, Student, SchoolClass, outcome)
        .join_from(Obligation, Student, Student.id == Obligation.student_id)
        .join(SchoolClass, SchoolClass.id == Obligation.class_id)
        .outerjoin(outcome, true())
        .where(
            Obligation.term_code == roll_call.term_code,
            Obligation.roll_call_id == roll_call.id,
            equals_any(Obligation.student_id, ids),
        )
    )
    rows = [Result(*row) for row in await session.execute(query)] if ids else []
    results = {row.student.id: row for row in rows}
    return [results[each] for each in ids]


async def select_results_for_export(
    session: AsyncSession, actor: Actor, roll_call: RollCall, filters: ResultFilter
) -> Select[*tuple[Any, ...]]:
    """The same results by school, class and name, with the columns of `exports.results.ExportedResult`."""
    schools = await _load_schools(session, actor, roll_call, filters)
    outcome = current_outcome(roll_call)
    columns = select(
        Obligation.student_id,
        Obligation.school_id,
        Student.name,
        Student.student_number_sealed,
        SchoolClass.name,
        Obligation.duty,
        Obligation.reason,
        outcome.outcome,
        outcome.reason,
        outcome.method,
        outcome.at,
    )
    statement = _filter_results(columns, outcome, actor, roll_call, filters, schools)
    rare = _select_rare(roll_call, filters, schools)
    if rare is not None:
        statement = statement.where(Obligation.student_id.in_(rare))
    order = (OrgUnit.path, SchoolClass.name, Student.name, Obligation.student_id)
    return statement.join(OrgUnit, OrgUnit.id == Obligation.school_id).order_by(*order)


async def _load_schools(
    session: AsyncSession, actor: Actor, roll_call: RollCall, filters: ResultFilter
) -> Sequence[UUID]:
    schools = await load_audience_schools(session, actor, roll_call, filters.unit_path)
    return schools if filters.school_id is None else [each for each in schools if each == filters.school_id]


def _select_rare(roll_call: RollCall, filters: ResultFilter, schools: Sequence[UUID]) -> Select[UUID] | None:
    """The students who have or had the outcome of the filter, if it is one that few students have."""
    if filters.outcome in {None, rules.Outcome.PRESENT}:
        return None
    return select_not_present(roll_call, schools, filters.outcome)


def _filter_results(
    columns: Select[*tuple[Any, ...]],
    outcome: type[OutcomeEntry],
    actor: Actor,
    roll_call: RollCall,
    filters: ResultFilter,
    schools: Sequence[UUID],
) -> Select[*tuple[Any, ...]]:
    statement = (
        columns.join_from(Obligation, Student, Student.id == Obligation.student_id)
        .join(SchoolClass, SchoolClass.id == Obligation.class_id)
        .outerjoin(outcome, true())
    )
    statement = filter_audience(statement, actor, roll_call, schools, filters.class_id)
    if filters.outcome is not None:
        statement = statement.where(outcome.outcome == filters.outcome)
    return statement if filters.matching is None else statement.where(filters.matching)

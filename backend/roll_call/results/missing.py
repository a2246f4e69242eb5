"""The students of a roll call who are not present yet, with their last attempts."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, Select, cast, exists, func, select, true, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from backend.core.actor import Actor
from backend.core.database import equals_any
from backend.core.listing.pages import (
    ListPage,
    PageRequest,
    Total,
    count_rows,
    load_page,
    reading_in_index_order,
)
from backend.core.listing.sorts import ListSorts, by_name, decode_keys, is_descending
from backend.core.pagination import encode_cursor, parse_id
from backend.people.tables import SchoolClass, Student
from backend.roll_call import reason_texts
from backend.roll_call.errors import SENT_TO_A_PERSON
from backend.roll_call.results.audience import (
    FEW_SCHOOLS,
    FEW_STUDENTS,
    current_outcome,
    filter_audience,
    find_matching,
    is_missing,
    load_audience_schools,
    select_current,
    select_not_present,
)
from backend.roll_call.results.totals import exact_total, load_audience_counts
from backend.roll_call.tables import (
    Obligation,
    OutcomeEntry,
    Refusal,
    RollCall,
    RollCallStep,
    Submission,
    VerdictRecord,
)


@dataclass(frozen=True, slots=True)
class MissingStudent:
    """A student who is not present yet, with what a counselor needs to help."""

    school_id: UUID
    student_id: UUID
    name: str
    phone: str | None
    class_id: UUID
    class_name: str
    submissions: int
    last_reasons: Sequence[str]
    last_refusal: str | None
    last_refusal_detail: dict[str, Any] | None
    sent_to_a_person: bool
    outcome: str | None


def explain_last_attempt(student: MissingStudent) -> reason_texts.Explanation | None:
    """Why the last attempt failed, in words; None without one."""
    if student.last_refusal is not None:
        return reason_texts.explain_refusal(student.last_refusal, student.last_refusal_detail or {})
    return reason_texts.reason(student.last_reasons[0]) if student.last_reasons else None


@dataclass(frozen=True, slots=True)
class MissingSearch:
    """Filters of the list; None does not filter. `matching` is a condition on `student` rows."""

    class_id: UUID | None = None
    matching: ColumnElement[bool] | None = None
    unit_path: str | None = None
    """Only the schools below this unit."""


MissingSort = Literal["class_name", "-class_name", "name", "-name"]
MISSING_SORTS = ListSorts(Obligation.student_id, {"name": by_name(Student.name)}, default="name")
"""The sort by class has three keys, so that the schools of a province are read one after the other."""
_Position = tuple[UUID, str, UUID]
"""Position in the sort by class: the school, the name of the class, and the student."""


@dataclass(frozen=True, slots=True)
class _Query:
    """Which missing students to read."""

    actor: Actor
    roll_call: RollCall
    search: MissingSearch
    schools: Sequence[UUID]
    is_settled: bool
    matching_ids: Sequence[UUID] | None = None
    """The students that the search finds, if they are known already."""

    def select(self, *columns: Any) -> Select[*tuple[Any, ...]]:
        """Columns of the obligations that may be missing."""
        owed = filter_audience(
            select(*columns),
            self.actor,
            self.roll_call,
            None if self.has_all_schools else self.schools,
            self.search.class_id,
            self.matching_ids,
        ).where(Obligation.duty == "owed")
        if self.matching_ids is None and self.search.matching is not None:
            owed = owed.where(Obligation.student_id.in_(select(Student.id).where(self.search.matching)))
        return owed

    def select_missing(self) -> Select[*tuple[Any, ...]]:
        """The ids of the missing students."""
        return self._keep_missing(self.select(Obligation.student_id).select_from(Obligation))

    def select_missing_with_names(self) -> Select[*tuple[Any, ...]]:
        """The same ids, joined to the students."""
        owed = self.select(Obligation.student_id).join(Student, Student.id == Obligation.student_id)
        return self._keep_missing(owed)

    def _keep_missing(self, owed: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
        outcome = current_outcome(self.roll_call)
        return owed.outerjoin(outcome, true()).where(is_missing(outcome.outcome))

    def select_not_present(self) -> Select[UUID]:
        """Of a settled roll call: every student has an outcome now, so the missing ones have one other than "present"."""
        return select_not_present(self.roll_call, self.schools)

    @property
    def is_wide(self) -> bool:
        """The students are those of many schools."""
        return len(self.schools) > FEW_SCHOOLS and self.search.class_id is None

    @property
    def has_all_schools(self) -> bool:
        """The schools need no condition (`filter_audience`)."""
        return self.matching_ids is not None and self.search.unit_path is None

    async def with_matching_ids(self, session: AsyncSession) -> "_Query":
        """The same query with the students that a search in many schools finds."""
        if not self.is_wide or self.search.matching is None:
            return self
        rarely_in = self.roll_call if self.is_settled else None
        return replace(self, matching_ids=await find_matching(session, self.search.matching, rarely_in))

    async def count(self, session: AsyncSession) -> int:
        """The missing students without a search."""
        counts = await load_audience_counts(
            session, self.actor, self.roll_call, self.schools, self.search.class_id
        )
        return counts.missing

    def limit_to(self, schools: Sequence[UUID]) -> "_Query":
        return replace(self, schools=schools)


async def load_missing_page(
    session: AsyncSession, actor: Actor, roll_call: RollCall, search: MissingSearch, request: PageRequest
) -> ListPage[MissingStudent]:
    """A page of the missing students, by school and class or by name. A counselor sees only their own classes.

    Raises `CursorInvalid`, `CursorOfOtherSort`.
    """
    schools = await load_audience_schools(session, actor, roll_call, search.unit_path)
    settled = await session.get(RollCallStep, (roll_call.id, "settled")) is not None
    query = await _Query(actor, roll_call, search, schools, settled).with_matching_ids(session)
    sort = request.sort or "class_name"
    if sort.removeprefix("-") == "name":
        return await _load_page_by_name(session, query, request)
    after = None if request.cursor is None else _decode_position(request.cursor, sort)
    rows = await _load_by_class(session, query, sort, after, request.limit + 1)
    shown = rows[: request.limit]
    next_cursor = _encode_position(sort, shown[-1]) if len(rows) > request.limit else None
    total = await _load_total(session, query) if request.with_total else None
    return ListPage(shown, next_cursor, total)


def _decode_position(cursor: str, sort: str) -> _Position:
    school, class_name, student = decode_keys(cursor, sort, 3)
    return parse_id(school), class_name, parse_id(student)


def _encode_position(sort: str, student: MissingStudent) -> str:
    return encode_cursor(sort, str(student.school_id), student.class_name, str(student.student_id))


async def _load_by_class(
    session: AsyncSession, query: _Query, sort: str, after: _Position | None, limit: int
) -> list[MissingStudent]:
    """The schools are read in groups of growing size until the page is full, so that a province need not be sorted for
    a hundred rows.
    """
    descending = is_descending(sort)
    schools = sorted(query.schools, reverse=descending)
    if after is not None:
        schools = [each for each in schools if (each <= after[0] if descending else each >= after[0])]
    rows: list[MissingStudent] = []
    first, size = 0, 2 if query.matching_ids is None else len(schools)
    while first < len(schools) and len(rows) < limit:
        group = query.limit_to(schools[first : first + size])
        rows += await _load_group(session, group, sort, after, limit - len(rows))
        first, size = first + size, size * 2
    return rows


async def _load_group(
    session: AsyncSession, query: _Query, sort: str, after: _Position | None, limit: int
) -> Sequence[MissingStudent]:
    # First find the missing students, then load their details: most of an audience is present.
    owed = query.select(Obligation.school_id, Obligation.student_id, Obligation.class_id)
    if query.is_settled and query.matching_ids is None:
        owed = owed.where(Obligation.student_id.in_(query.select_not_present()))
    # OFFSET 0 is an optimisation fence: without it the planner joins the outcomes before it filters the students.
    audience = owed.offset(0).subquery("audience")
    newest = select_current(select(OutcomeEntry.outcome), query.roll_call, audience.c)
    current = newest.correlate(audience).lateral("newest")
    keys = (audience.c.school_id, SchoolClass.name, audience.c.student_id)
    missing = (
        select(audience.c.student_id)
        .join(SchoolClass, SchoolClass.id == audience.c.class_id)
        .outerjoin(current, true())
        .where(is_missing(current.c.outcome))
        .order_by(*(key.desc() if is_descending(sort) else key for key in keys))
        .limit(limit)
    )
    if after is not None:
        missing = missing.where(tuple_(*keys) < after if is_descending(sort) else tuple_(*keys) > after)
    return await _load_details(session, query.roll_call, (await session.scalars(missing)).all())


async def _load_page_by_name(
    session: AsyncSession, query: _Query, request: PageRequest
) -> ListPage[MissingStudent]:
    in_order, total = False, None
    if query.search.matching is None and (query.is_wide or request.with_total):
        count = await query.count(session)
        total = exact_total(count)
        in_order = query.is_wide and (count > FEW_STUDENTS or not query.is_settled)
    elif request.with_total:
        total = await _load_total(session, query)
    missing = query.select_missing_with_names()
    if query.is_settled and not in_order and query.matching_ids is None:
        missing = missing.where(Obligation.student_id.in_(query.select_not_present()))
    async with reading_in_index_order(session) if in_order else nullcontext():
        found = await load_page(session, missing, MISSING_SORTS, replace(request, with_total=False))
    ids = [student_id for (student_id,) in found.rows]
    rows = await _load_details(session, query.roll_call, ids)
    return ListPage(rows, found.next_cursor, total if request.with_total else None)


async def _load_total(session: AsyncSession, query: _Query) -> Total:
    if query.search.matching is None:
        return exact_total(await query.count(session))
    missing = query.select_missing()
    if query.is_settled and query.matching_ids is None:
        missing = missing.where(Obligation.student_id.in_(query.select_not_present()))
    return await count_rows(session, missing, MISSING_SORTS)


async def _load_details(
    session: AsyncSession, roll_call: RollCall, ids: Sequence[UUID]
) -> Sequence[MissingStudent]:
    """The students in the order of their ids in the list."""
    if not ids:
        return []
    rows = (await session.execute(_select_details(roll_call, ids))).mappings()
    students = {row["student_id"]: MissingStudent(**row) for row in rows}
    return [students[each] for each in ids]


def _select_details(roll_call: RollCall, ids: Sequence[UUID]) -> Select[*tuple[Any, ...]]:
    """The fields of `MissingStudent` for each student."""
    reasons = _select_attempts(roll_call, VerdictRecord, VerdictRecord.reasons, newest=VerdictRecord.at)
    last_refusal = _select_attempts(roll_call, Refusal, Refusal.code, newest=Refusal.at)
    refusal_detail = _select_attempts(roll_call, Refusal, Refusal.detail, newest=Refusal.at)
    outcome = current_outcome(roll_call)
    return (
        select(
            Obligation.school_id,
            Obligation.student_id,
            Student.name,
            Student.phone,
            Obligation.class_id,
            SchoolClass.name.label("class_name"),
            _select_attempts(roll_call, Submission, func.count()).label("submissions"),
            func.coalesce(reasons, cast([], JSONB)).label("last_reasons"),
            last_refusal.label("last_refusal"),
            refusal_detail.label("last_refusal_detail"),
            _was_referred(roll_call).label("sent_to_a_person"),
            outcome.outcome,
        )
        .join_from(Obligation, Student, Student.id == Obligation.student_id)
        .join(SchoolClass, SchoolClass.id == Obligation.class_id)
        .outerjoin(outcome, true())
        .where(
            Obligation.term_code == roll_call.term_code,
            Obligation.roll_call_id == roll_call.id,
            equals_any(Obligation.student_id, ids),
        )
    )


def _select_attempts(
    roll_call: RollCall,
    table: type[Submission | VerdictRecord | Refusal],
    column: ColumnElement[Any] | InstrumentedAttribute[Any],
    newest: InstrumentedAttribute[datetime] | None = None,
) -> ScalarSelect[Any]:
    """A value of each student's attempts in the roll call: over all of them, or of the newest by a column."""
    rows = select(column).where(
        table.term_code == roll_call.term_code,
        table.roll_call_id == roll_call.id,
        table.school_id == Obligation.school_id,
        table.student_id == Obligation.student_id,
    )
    if newest is not None:
        rows = rows.order_by(newest.desc()).limit(1)
    return rows.correlate(Obligation).scalar_subquery()


def _was_referred(roll_call: RollCall) -> ColumnElement[bool]:
    """Whether the student was sent to the counselor."""
    return exists().where(
        Refusal.term_code == roll_call.term_code,
        Refusal.roll_call_id == roll_call.id,
        Refusal.school_id == Obligation.school_id,
        Refusal.student_id == Obligation.student_id,
        Refusal.code.in_(SENT_TO_A_PERSON),
    )

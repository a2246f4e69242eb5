"""Lists over the audience of a roll call: missing students, and the results of all students."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    FromClause,
    ScalarSelect,
    Select,
    Subquery,
    cast,
    exists,
    func,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from backend.core.actor import Actor
from backend.core.listing.pages import reading_in_index_order
from backend.org.queries import schools_below
from backend.org.tables import OrgUnit
from backend.people.tables import SchoolClass, Student
from backend.roll_call import reason_texts, rules
from backend.roll_call.access import select_counselor_classes
from backend.roll_call.errors import SENT_TO_A_PERSON
from backend.roll_call.tables import (
    Obligation,
    OutcomeEntry,
    Refusal,
    RollCall,
    RollCallSchool,
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

    @property
    def position(self) -> "MissingPosition":
        """Start of the next page if this student is the last of a page."""
        return self.school_id, self.class_name, self.student_id


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


MissingPosition = tuple[UUID, str, UUID]
"""Position in the list: the school, the name of the class, and the student."""


async def load_missing_page(
    session: AsyncSession,
    actor: Actor,
    roll_call: RollCall,
    search: MissingSearch,
    after: MissingPosition | None,
    limit: int,
) -> Sequence[MissingStudent]:
    """A page of the missing students, by school and class. A counselor sees only their own classes.

    For an authority the schools are read in groups of growing size until the page is full, so that a province need not
    be sorted for a hundred rows.
    """
    if actor.school_id is not None:
        return await _load_missing(session, actor, roll_call, search, after, limit)
    school_ids = select(RollCallSchool.school_id).where(RollCallSchool.roll_call_id == roll_call.id)
    if search.unit_path is not None:
        school_ids = school_ids.where(RollCallSchool.school_id.in_(schools_below(search.unit_path)))
    if after is not None:
        school_ids = school_ids.where(RollCallSchool.school_id >= after[0])
    schools = (await session.scalars(school_ids.order_by(RollCallSchool.school_id))).all()
    rows: list[MissingStudent] = []
    first, size = 0, 2
    while first < len(schools) and len(rows) < limit:
        group = schools[first : first + size]
        left = limit - len(rows)
        rows += await _load_missing(session, actor, roll_call, search, after, left, group)
        first, size = first + size, size * 2
    return rows


async def _load_missing(
    session: AsyncSession,
    actor: Actor,
    roll_call: RollCall,
    search: MissingSearch,
    after: MissingPosition | None,
    limit: int,
    schools: Sequence[UUID] = (),
) -> Sequence[MissingStudent]:
    # First find the missing students, then load their details: most of an audience is present.
    schools = schools or ([actor.school_id] if actor.school_id is not None else [])
    owed = _filter_classes(
        select(Obligation.school_id, Obligation.student_id, Obligation.class_id), actor, search.class_id
    ).where(*_audience_filter(roll_call, actor), Obligation.duty == "owed")
    if schools:
        owed = owed.where(Obligation.school_id.in_(schools))
    if await session.get(RollCallStep, (roll_call.id, "settled")) is not None:
        # Every student has an outcome now, so missing students have an entry other than "present".
        owed = owed.where(Obligation.student_id.in_(_select_students_not_present(roll_call, schools)))
    if search.matching is not None:
        owed = owed.where(Obligation.student_id.in_(select(Student.id).where(search.matching)))
    # OFFSET 0 is an optimisation fence: without it the planner joins the outcomes before it filters the students.
    audience = owed.offset(0).subquery("audience")
    current = _join_current_outcome(roll_call, audience)
    missing = (
        select(*audience.c, SchoolClass.name.label("class_name"), current.c.outcome)
        .join(SchoolClass, SchoolClass.id == audience.c.class_id)
        .outerjoin(current, true())
        .where(func.coalesce(current.c.outcome, "") != rules.Outcome.PRESENT.value)
        .order_by(audience.c.school_id, SchoolClass.name, audience.c.student_id)
        .limit(limit)
    )
    if after is not None:
        missing = missing.where(tuple_(audience.c.school_id, SchoolClass.name, audience.c.student_id) > after)
    rows = await session.execute(_select_details(roll_call, missing.subquery("missing")))
    return [MissingStudent(**row) for row in rows.mappings()]


def _select_details(roll_call: RollCall, missing: Subquery) -> Select[*tuple[Any, ...]]:
    """The fields of `MissingStudent` for each missing student, in the order of the list."""
    reasons = _select_attempts(
        roll_call, missing, VerdictRecord, VerdictRecord.reasons, newest=VerdictRecord.at
    )
    last_refusal = _select_attempts(roll_call, missing, Refusal, Refusal.code, newest=Refusal.at)
    refusal_detail = _select_attempts(roll_call, missing, Refusal, Refusal.detail, newest=Refusal.at)
    return (
        select(
            missing.c.school_id,
            missing.c.student_id,
            Student.name,
            Student.phone,
            missing.c.class_id,
            missing.c.class_name,
            _select_attempts(roll_call, missing, Submission, func.count()).label("submissions"),
            func.coalesce(reasons, cast([], JSONB)).label("last_reasons"),
            last_refusal.label("last_refusal"),
            refusal_detail.label("last_refusal_detail"),
            _was_referred(roll_call, missing).label("sent_to_a_person"),
            missing.c.outcome,
        )
        .join_from(missing, Student, Student.id == missing.c.student_id)
        .order_by(missing.c.school_id, missing.c.class_name, missing.c.student_id)
    )


def _join_current_outcome(roll_call: RollCall, audience: Subquery) -> FromClause:
    """The current outcome of each student of a subquery, as a lateral join."""
    return (
        _select_current(select(OutcomeEntry.outcome), roll_call, audience.c)
        .correlate(audience)
        .lateral("newest")
    )


def _select_students_not_present(roll_call: RollCall, schools: Sequence[UUID]) -> Select[UUID]:
    """Students who have or had an outcome other than "present": a few, found by a partial index."""
    students = select(OutcomeEntry.student_id).where(
        OutcomeEntry.term_code == roll_call.term_code,
        OutcomeEntry.roll_call_id == roll_call.id,
        OutcomeEntry.outcome != rules.Outcome.PRESENT.value,
    )
    return students.where(OutcomeEntry.school_id.in_(schools)) if schools else students


def _audience_filter(roll_call: RollCall, actor: Actor) -> Sequence[ColumnElement[bool]]:
    """Conditions for the `obligation` rows of the roll call, and of the caller's school so that an index is used."""
    conditions = [Obligation.term_code == roll_call.term_code, Obligation.roll_call_id == roll_call.id]
    return conditions if actor.school_id is None else [*conditions, Obligation.school_id == actor.school_id]


def _select_attempts(
    roll_call: RollCall,
    students: Subquery,
    table: type[Submission | VerdictRecord | Refusal],
    column: ColumnElement[Any] | InstrumentedAttribute[Any],
    newest: InstrumentedAttribute[datetime] | None = None,
) -> ScalarSelect[Any]:
    """A value of each student's attempts in the roll call: over all of them, or of the newest by a column."""
    rows = select(column).where(
        table.term_code == roll_call.term_code,
        table.roll_call_id == roll_call.id,
        table.school_id == students.c.school_id,
        table.student_id == students.c.student_id,
    )
    if newest is not None:
        rows = rows.order_by(newest.desc()).limit(1)
    return rows.correlate(students).scalar_subquery()


def _was_referred(roll_call: RollCall, students: Subquery) -> ColumnElement[bool]:
    """Whether the student was sent to the counselor."""
    return exists().where(
        Refusal.term_code == roll_call.term_code,
        Refusal.roll_call_id == roll_call.id,
        Refusal.school_id == students.c.school_id,
        Refusal.student_id == students.c.student_id,
        Refusal.code.in_(SENT_TO_A_PERSON),
    )


def _current_outcome_entity(roll_call: RollCall) -> type[OutcomeEntry]:
    """The current outcome of each `obligation` row, to be joined as an entity."""
    newest = _select_current(select(OutcomeEntry), roll_call, Obligation)
    return aliased(OutcomeEntry, newest.correlate(Obligation).lateral())


def _select_current(
    columns: Select[*tuple[Any, ...]], roll_call: RollCall, students: Any
) -> Select[*tuple[Any, ...]]:
    """Limit a selection from outcome entries to the current entry of each student."""
    return (
        columns.where(
            OutcomeEntry.term_code == roll_call.term_code,
            OutcomeEntry.roll_call_id == roll_call.id,
            OutcomeEntry.school_id == students.school_id,
            OutcomeEntry.student_id == students.student_id,
        )
        .order_by(OutcomeEntry.seq.desc())
        .limit(1)
    )


def _filter_classes(
    statement: Select[*tuple[Any, ...]], actor: Actor, class_id: UUID | None
) -> Select[*tuple[Any, ...]]:
    """Limit obligations to the classes of a counselor and to the class requested."""
    counselor_classes = select_counselor_classes(actor)
    if counselor_classes is not None:
        statement = statement.where(Obligation.class_id.in_(counselor_classes))
    return statement if class_id is None else statement.where(Obligation.class_id == class_id)


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


async def load_results_page(
    session: AsyncSession,
    actor: Actor,
    roll_call: RollCall,
    filters: ResultFilter,
    after: UUID | None,
    limit: int,
) -> Sequence[Result]:
    """A page of the audience with the current outcomes, ordered by student id."""
    outcome = _current_outcome_entity(roll_call)
    columns = select(Obligation, Student, SchoolClass, outcome)
    statement = _filter_results(columns, outcome, actor, roll_call, filters)
    statement = statement.order_by(Obligation.student_id).limit(limit)
    if after is not None:
        statement = statement.where(Obligation.student_id > after)
    narrows = filters.class_id or filters.school_id or filters.outcome or filters.unit_path
    is_wide = actor.school_id is None and not narrows and filters.matching is None
    async with reading_in_index_order(session) if is_wide else nullcontext():
        return [Result(*row) for row in (await session.execute(statement)).all()]


def select_results_for_export(
    actor: Actor, roll_call: RollCall, filters: ResultFilter
) -> Select[*tuple[Any, ...]]:
    """The same results by school, class and name, with the columns of `exports.results.ExportedResult`."""
    outcome = _current_outcome_entity(roll_call)
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
    statement = _filter_results(columns, outcome, actor, roll_call, filters)
    order = (OrgUnit.path, SchoolClass.name, Student.name, Obligation.student_id)
    return statement.join(OrgUnit, OrgUnit.id == Obligation.school_id).order_by(*order)


def _filter_results(
    columns: Select[*tuple[Any, ...]],
    outcome: type[OutcomeEntry],
    actor: Actor,
    roll_call: RollCall,
    filters: ResultFilter,
) -> Select[*tuple[Any, ...]]:
    statement = (
        columns.join_from(Obligation, Student, Student.id == Obligation.student_id)
        .join(SchoolClass, SchoolClass.id == Obligation.class_id)
        .outerjoin(outcome, true())
        .where(*_audience_filter(roll_call, actor))
    )
    statement = _filter_classes(statement, actor, filters.class_id)
    if filters.school_id is not None:
        statement = statement.where(Obligation.school_id == filters.school_id)
    if filters.unit_path is not None:
        statement = statement.where(Obligation.school_id.in_(schools_below(filters.unit_path)))
    if filters.outcome is not None:
        statement = statement.where(outcome.outcome == filters.outcome)
    if filters.outcome not in {None, rules.Outcome.PRESENT}:
        ever_not_present = _select_students_not_present(
            roll_call, [filters.school_id] if filters.school_id is not None else []
        )
        statement = statement.where(
            Obligation.student_id.in_(ever_not_present.where(OutcomeEntry.outcome == filters.outcome))
        )
    if filters.matching is not None:
        statement = statement.where(filters.matching)
    return statement

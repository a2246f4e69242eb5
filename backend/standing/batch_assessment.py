"""Assesses many students without a lock, then locks only those whose assessment changed.

A run can be late, repeated, or concurrent with another: prompts and expiries carry the instants at which the facts
called for them (`engine/timeline.py`), and results are saved under the student's lock (`store/save.py`). So nothing
depends on when a run happens, and an interrupted run is simply started again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, func, select, text, union
from sqlalchemy.dialects.postgresql import insert

from backend.core.app_context import AppContext
from backend.core.clock import legal_day
from backend.core.database import equals_any
from backend.core.tenancy import Scope
from backend.leave.tables import LeaveRequest
from backend.people.tables import Student
from backend.roll_call.outcomes import roll_call_term
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import Obligation, OutcomeEntry, RollCall
from backend.standing.store import tables
from backend.standing.store.load import load_student_refs, policy_history
from backend.standing.store.lock import assess_unlocked, has_changed
from backend.standing.store.save import recompute, recompute_many

T = TypeVar("T")

BATCH = 250
"""Students assessed at once without locks: a few megabytes of facts, and a fraction of a second of blocking work."""

LOCKED_BATCH = 400
"""Students locked in one transaction. An act on one of them waits for this transaction, some tenths of a second."""


@dataclass(frozen=True, slots=True)
class SingleSchool:
    """One school whose students are assessed."""

    school_id: UUID
    path: str

    @property
    def scope(self) -> Scope:
        return Scope.school(self.school_id, self.path)

    @property
    def ids(self) -> tuple[UUID, ...]:
        return (self.school_id,)


@dataclass(frozen=True, slots=True)
class SchoolGroup:
    """Several schools below one unit, whose students are assessed together."""

    path: str
    ids: tuple[UUID, ...]

    @property
    def scope(self) -> Scope:
        return Scope.wide(self.path)


Schools = SingleSchool | SchoolGroup


@dataclass(frozen=True, slots=True)
class RunResult:
    """How many students a run covered, and how many assessments changed."""

    students: int
    changed: int


async def assess_school(app_context: AppContext, school_id: UUID, path: str, at: datetime) -> RunResult:
    """Assess all students on the school's roll, and record that the school was assessed on this legal day.

    If some could not be assessed, raises like `recompute_each`, and the day is not recorded.
    """
    school = SingleSchool(school_id, path)
    async with app_context.database.transaction(school.scope) as session:
        students = await session.scalar(
            select(func.count()).select_from(Student).where(Student.school_id == school_id)
        )
        student_ids = (await session.scalars(select_students_to_assess(school, at))).all()
    result = RunResult(int(students or 0), await assess_students(app_context, school, student_ids, at))
    row = {"students": result.students, "changed": result.changed, "finished_at": app_context.clock()}
    async with app_context.database.transaction(school.scope) as session:
        statement = insert(tables.DailyAssessment).values(school_id=school_id, legal_day=legal_day(at), **row)
        await session.execute(statement.on_conflict_do_nothing())
    return result


async def assess_students(
    app_context: AppContext, schools: Schools, student_ids: Sequence[UUID], at: datetime
) -> int:
    """Recompute those of the students whose assessment changed. Returns their number. Raises like `recompute_each`."""
    changed = [
        student_id
        for batch in batches(student_ids, BATCH)
        for student_id in await find_changed(app_context, schools, batch, at)
    ]
    await recompute_each(app_context, schools, changed, at)
    return len(changed)


async def recompute_each(
    app_context: AppContext, schools: Schools, student_ids: Sequence[UUID], at: datetime
) -> int:
    """Lock, assess and save the students in batches. Returns the number whose assessment changed.

    If a batch fails, its students are recomputed one by one, so one failing student does not block the others. The
    failures are raised at the end as an `ExceptionGroup`.
    """
    changed, failures = 0, list[Exception]()
    for batch in batches(student_ids, LOCKED_BATCH):
        try:
            async with app_context.database.transaction(schools.scope) as session:
                changed += await recompute_many(session, batch, at)
        except Exception:  # noqa: BLE001 - recomputing each alone shows which student fails
            failures += await _recompute_one_by_one(app_context, schools, batch, at)
    if failures:
        msg = f"{len(failures)} students of {schools.path} could not be assessed"
        raise ExceptionGroup(msg, failures)
    return changed


async def _recompute_one_by_one(
    app_context: AppContext, schools: Schools, student_ids: Sequence[UUID], at: datetime
) -> list[Exception]:
    """Recompute each student in a separate transaction. Returns the failures."""
    failures: list[Exception] = []
    for student_id in student_ids:
        try:
            async with app_context.database.transaction(schools.scope) as session:
                await recompute(session, student_id, at)
        except Exception as error:  # noqa: BLE001 - raised by the caller, together with others
            failures.append(error)
    return failures


async def find_changed(
    app_context: AppContext, schools: Schools, student_ids: Sequence[UUID], at: datetime
) -> list[UUID]:
    """The students whose assessment differs from the stored one. Writes nothing and locks nothing.

    A fact recorded meanwhile is not lost: the transaction that records it also saves its consequences.
    """
    async with app_context.database.transaction(schools.scope) as session:
        await session.execute(text("SET TRANSACTION READ ONLY"))
        students = await load_student_refs(session, student_ids)
        records = await assess_unlocked(session, list(students.values()), at)
        known = select(tables.StudentStanding.student_id, tables.StudentStanding.digest).where(
            equals_any(tables.StudentStanding.student_id, student_ids)
        )
        stored = {row.student_id: row.digest for row in await session.execute(known)}
    return [
        student_id for student_id, record in records.items() if has_changed(record, stored.get(student_id))
    ]


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items in slices of at most `size`."""
    return (items[first : first + size] for first in range(0, len(items), size))


# --- which students to assess ---

TABLES_AFFECTING_STANDING = (
    tables.StudentStanding,
    tables.StandingOrigin,
    tables.PromptDelivered,
    tables.PromptDecision,
    tables.ReasonClaimRecord,
    tables.AttendanceEntry,
    tables.ChangeReversed,
    tables.ProvinceApproved,
    tables.StandingEdit,
    tables.AppealFiled,
    LeaveRequest,
)
"""Tables whose rows can give a student a non-empty assessment, apart from a result "missed"."""


def select_students_to_assess(school: SingleSchool, at: datetime) -> Select[UUID]:
    """The students of the school whose assessment can be non-empty.

    Students without misses, leave or any other recorded event have an empty assessment, so we do not load them; they
    are the majority. Only if a single miss raised a prompt would all students need the warning "one more miss".
    """
    law = policy_history(school.path).on(legal_day(at))
    all_students = select(Student.id).where(Student.school_id == school.school_id)
    if min(law.consecutive, law.cumulative) <= 1:
        return all_students.order_by(Student.id)
    missed = select(OutcomeEntry.student_id).where(
        OutcomeEntry.school_id == school.school_id, OutcomeEntry.outcome == Outcome.MISSED.value
    )
    recorded = (
        all_students.join(table, table.student_id == Student.id) for table in TABLES_AFFECTING_STANDING
    )
    students = union(missed, *recorded).subquery("students")
    return select(students.c[0]).order_by(students.c[0])


def select_assessed_participants(schools: Schools, roll_call_id: UUID) -> Select[UUID]:
    """Students of the schools who had to attend a roll call and have a stored assessment."""
    return (
        select(Obligation.student_id)
        .join(tables.StudentStanding, tables.StudentStanding.student_id == Obligation.student_id)
        .where(
            equals_any(tables.StudentStanding.school_id, schools.ids),
            Obligation.term_code == roll_call_term(roll_call_id),
            Obligation.roll_call_id == roll_call_id,
            equals_any(Obligation.school_id, schools.ids),
            Obligation.duty != "exempt",
        )
        .order_by(Obligation.student_id)
    )


def select_absentees(schools: Schools, roll_call_id: UUID) -> Select[UUID, int]:
    """Students of the schools who missed a roll call, with their number of misses in its term.

    Students with most misses come first, so that prompts are raised before warnings. Reading all misses of the schools
    at once is cheap, since misses are rare.
    """
    misses = func.count(OutcomeEntry.roll_call_id.distinct())
    return (
        select(OutcomeEntry.student_id, misses)
        .where(
            OutcomeEntry.term_code == roll_call_term(roll_call_id),
            equals_any(OutcomeEntry.school_id, schools.ids),
            OutcomeEntry.outcome == Outcome.MISSED.value,
        )
        .group_by(OutcomeEntry.student_id)
        .having(func.bool_or(OutcomeEntry.roll_call_id == roll_call_id))
        .order_by(misses.desc(), OutcomeEntry.student_id)
    )


def _missed_in(schools: Schools, roll_call_id: UUID) -> Sequence[ColumnElement[bool]]:
    """Conditions on `outcome_entry` for students of the schools who missed the roll call at any time."""
    return (
        OutcomeEntry.term_code == roll_call_term(roll_call_id),
        equals_any(OutcomeEntry.school_id, schools.ids),
        OutcomeEntry.roll_call_id == roll_call_id,
        OutcomeEntry.outcome == Outcome.MISSED.value,
    )


def select_due(at: datetime) -> Select[UUID]:
    """Students whose assessment changed by time alone, with the same exception as `definer.due_standings`."""
    standing, difference = tables.StudentStanding, tables.ReplayDifference
    noted = exists().where(difference.student_id == standing.student_id)
    return select(standing.student_id).where(and_(standing.next_at <= at, ~noted)).order_by(standing.next_at)


def select_absentees_with_leave(schools: Schools, roll_call_id: UUID) -> Select[UUID]:
    """Students who missed a roll call although they had requested leave that overlaps its window."""
    return (
        select(OutcomeEntry.student_id)
        .join(RollCall, RollCall.id == OutcomeEntry.roll_call_id)
        .join(LeaveRequest, LeaveRequest.student_id == OutcomeEntry.student_id)
        .where(
            *_missed_in(schools, roll_call_id),
            LeaveRequest.starts_at < func.coalesce(RollCall.extended_until, RollCall.closes_at),
            LeaveRequest.ends_at > RollCall.opens_at,
        )
        .distinct()
        .order_by(OutcomeEntry.student_id)
    )

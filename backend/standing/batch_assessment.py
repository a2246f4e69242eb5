"""Assessing many: everyone is judged without a turn, and only whose picture has changed takes one.

A run may come late, twice, or beside another: a prompt and an expiry bear the instants at which the facts called
for them (`course`), and what follows is kept under the student's turn (`keeping`). So nothing depends on when the
rules were asked, and a run that was cut short is simply begun again.
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
from backend.core.database import among
from backend.core.tenancy import Scope
from backend.leave.tables import LeaveRequest
from backend.people.tables import Student
from backend.roll_call.outcomes import load_term
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import Obligation, OutcomeEntry, RollCall
from backend.standing.store import tables
from backend.standing.store.load import load_student_refs
from backend.standing.store.lock import differs, judgements, policy_history
from backend.standing.store.save import recompute, recompute_many

T = TypeVar("T")

BATCH = 250
"""Students judged at once without a turn: some megabytes of facts, and a fraction of a second without a pause for other jobs."""

AT_ONCE = 400
"""Students whose turns are held at once: an act on one of them waits for the transaction of all, some tenths of a second."""


@dataclass(frozen=True, slots=True)
class SchoolOf:
    """The school whose students are assessed."""

    school_id: UUID
    path: str

    @property
    def scope(self) -> Scope:
        return Scope.school(self.school_id, self.path)

    @property
    def ids(self) -> tuple[UUID, ...]:
        return (self.school_id,)


@dataclass(frozen=True, slots=True)
class SchoolsBelow:
    """Schools whose students are assessed together, all of them below one unit."""

    path: str
    ids: tuple[UUID, ...]

    @property
    def scope(self) -> Scope:
        return Scope.wide(self.path)


Schools = SchoolOf | SchoolsBelow


@dataclass(frozen=True, slots=True)
class Assessed:
    """How many students a run spoke for, and how many pictures it found changed."""

    students: int
    changed: int


async def assess_school(app_context: AppContext, school_id: UUID, path: str, at: datetime) -> Assessed:
    """Assess every student on the school's roll, and record that the school was assessed on this legal day.

    Where some could not be assessed, raises as `recompute_each`, and the day is not recorded.
    """
    school = SchoolOf(school_id, path)
    async with app_context.database.transaction(school.scope) as session:
        students = await session.scalar(
            select(func.count()).select_from(Student).where(Student.school_id == school_id)
        )
        asked = (await session.scalars(students_to_assess(school, at))).all()
    done = Assessed(int(students or 0), await assess_students(app_context, school, asked, at))
    row = {"students": done.students, "changed": done.changed, "finished_at": app_context.clock()}
    async with app_context.database.transaction(school.scope) as session:
        put = insert(tables.DailyAssessment).values(school_id=school_id, legal_day=legal_day(at), **row)
        await session.execute(put.on_conflict_do_nothing())
    return done


async def assess_students(
    app_context: AppContext, schools: Schools, asked: Sequence[UUID], at: datetime
) -> int:
    """Reassess those of the students whose picture has changed; how many. Raises as `recompute_each`."""
    changed = [
        student_id
        for batch in batches(asked, BATCH)
        for student_id in await changed_among(app_context, schools, batch, at)
    ]
    await recompute_each(app_context, schools, changed, at)
    return len(changed)


async def recompute_each(
    app_context: AppContext, schools: Schools, asked: Sequence[UUID], at: datetime
) -> int:
    """Take the students' turns, some at once; of how many the law now says something else.

    One that fails keeps nobody waiting: those with whom it was taken are taken one by one, and what failed is raised in
    the end, as an `ExceptionGroup`.
    """
    changed, failures = 0, list[Exception]()
    for batch in batches(asked, AT_ONCE):
        try:
            async with app_context.database.transaction(schools.scope) as session:
                changed += await recompute_many(session, batch, at)
        except Exception:  # noqa: BLE001 - whose it is shows when each is taken alone
            failures += await _reassess_alone(app_context, schools, batch, at)
    if failures:
        msg = f"{len(failures)} students of {schools.path} could not be assessed"
        raise ExceptionGroup(msg, failures)
    return changed


async def _reassess_alone(
    app_context: AppContext, schools: Schools, asked: Sequence[UUID], at: datetime
) -> list[Exception]:
    """A transaction for each; what failed."""
    failures: list[Exception] = []
    for student_id in asked:
        try:
            async with app_context.database.transaction(schools.scope) as session:
                await recompute(session, student_id, at)
        except Exception as error:  # noqa: BLE001 - raised by the caller, with those of the others
            failures.append(error)
    return failures


async def changed_among(
    app_context: AppContext, schools: Schools, asked: Sequence[UUID], at: datetime
) -> list[UUID]:
    """Those of whom the law says something else than what is stored. Writes nothing and holds nobody's turn.

    A fact that is recorded meanwhile is not lost: whoever records it sees to its consequences.
    """
    async with app_context.database.transaction(schools.scope) as session:
        await session.execute(text("SET TRANSACTION READ ONLY"))
        found = await load_student_refs(session, asked)
        judged = await judgements(session, list(found.values()), at)
        known = select(tables.StudentStanding.student_id, tables.StudentStanding.digest).where(
            among(tables.StudentStanding.student_id, asked)
        )
        stored = {row.student_id: row.digest for row in await session.execute(known)}
    return [student_id for student_id, said in judged.items() if differs(said, stored.get(student_id))]


def batches(asked: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Parts of at most so many."""
    return (asked[first : first + size] for first in range(0, len(asked), size))


# --- who is judged ---

TELLING = (
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
"""Tables a row of which may make the law say something of a student, beside a result "missed"."""


def students_to_assess(school: SchoolOf, at: datetime) -> Select[UUID]:
    """The students of the school of whom the law may say anything.

    Of whoever missed nothing, asked for no leave, and of whom nobody recorded, decided or filed anything, it says
    nothing: passes alone make no count, no prompt and no warning. They are the many, and are not even read. Only
    under a law by which a first miss prompts would everyone be one miss away from it.
    """
    law = policy_history(school.path).on(legal_day(at))
    everyone = select(Student.id).where(Student.school_id == school.school_id)
    if min(law.consecutive, law.cumulative) <= 1:
        return everyone.order_by(Student.id)
    missed = select(OutcomeEntry.student_id).where(
        OutcomeEntry.school_id == school.school_id, OutcomeEntry.outcome == Outcome.MISSED.value
    )
    said = (everyone.join(table, table.student_id == Student.id) for table in TELLING)
    found = union(missed, *said).subquery("found")
    return select(found.c[0]).order_by(found.c[0])


def known_in(schools: Schools, roll_call_id: UUID) -> Select[UUID]:
    """The students of the schools who were asked in a roll call, and of whom a picture is kept."""
    return (
        select(Obligation.student_id)
        .join(tables.StudentStanding, tables.StudentStanding.student_id == Obligation.student_id)
        .where(
            among(tables.StudentStanding.school_id, schools.ids),
            Obligation.term_code == load_term(roll_call_id),
            Obligation.roll_call_id == roll_call_id,
            among(Obligation.school_id, schools.ids),
            Obligation.duty != "exempt",
        )
        .order_by(Obligation.student_id)
    )


def missed_by(schools: Schools, roll_call_id: UUID) -> Select[UUID, int]:
    """The students of the schools who missed a roll call, with how many of its term they missed; most first, for prompts
    come before warnings.

    All misses of the schools are read at once, and not those of each student: they are the few.
    """
    misses = func.count(OutcomeEntry.roll_call_id.distinct())
    return (
        select(OutcomeEntry.student_id, misses)
        .where(
            OutcomeEntry.term_code == load_term(roll_call_id),
            among(OutcomeEntry.school_id, schools.ids),
            OutcomeEntry.outcome == Outcome.MISSED.value,
        )
        .group_by(OutcomeEntry.student_id)
        .having(func.bool_or(OutcomeEntry.roll_call_id == roll_call_id))
        .order_by(misses.desc(), OutcomeEntry.student_id)
    )


def _missed(schools: Schools, roll_call_id: UUID) -> Sequence[ColumnElement[bool]]:
    """Of `outcome_entry` rows: those by which somebody of the schools once missed the roll call."""
    return (
        OutcomeEntry.term_code == load_term(roll_call_id),
        among(OutcomeEntry.school_id, schools.ids),
        OutcomeEntry.roll_call_id == roll_call_id,
        OutcomeEntry.outcome == Outcome.MISSED.value,
    )


def due(at: datetime) -> Select[UUID]:
    """Students whose picture time alone has changed by the instant, with the exception of `definer.due_standings`."""
    standing, difference = tables.StudentStanding, tables.ReplayDifference
    noted = exists().where(difference.student_id == standing.student_id)
    return select(standing.student_id).where(and_(standing.next_at <= at, ~noted)).order_by(standing.next_at)


def missed_despite_leave(schools: Schools, roll_call_id: UUID) -> Select[UUID]:
    """Who missed a roll call although they had asked for leave that touches its window."""
    return (
        select(OutcomeEntry.student_id)
        .join(RollCall, RollCall.id == OutcomeEntry.roll_call_id)
        .join(LeaveRequest, LeaveRequest.student_id == OutcomeEntry.student_id)
        .where(
            *_missed(schools, roll_call_id),
            LeaveRequest.starts_at < func.coalesce(RollCall.extended_until, RollCall.closes_at),
            LeaveRequest.ends_at > RollCall.opens_at,
        )
        .distinct()
        .order_by(OutcomeEntry.student_id)
    )

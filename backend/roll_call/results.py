"""The audience of a roll call as lists: who is missing, and how everyone stands."""

from collections.abc import Sequence
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
from backend.people.tables import SchoolClass, Student
from backend.roll_call import rules
from backend.roll_call.errors import SENT_TO_A_PERSON
from backend.roll_call.oversight import overseen_classes
from backend.roll_call.tables import (
    Obligation,
    OutcomeEntry,
    Refusal,
    RollCall,
    RollCallSchool,
    RollCallStep,
    Submission,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class Missing:
    """A student who has not proven presence, with what the counselor needs to help."""

    school_id: UUID
    student_id: UUID
    name: str
    phone: str | None
    class_id: UUID
    class_name: str
    submissions: int
    last_reasons: Sequence[str]
    last_refusal: str | None
    sent_to_a_person: bool
    outcome: str | None

    @property
    def position(self) -> "MissingAfter":
        """Where a page that ends here goes on."""
        return self.school_id, self.class_name, self.student_id


MissingAfter = tuple[UUID, str, UUID]
"""Where a page of the missing goes on: behind this school, name of a class, and student."""


async def missing_page(
    session: AsyncSession,
    actor: Actor,
    roll_call: RollCall,
    class_id: UUID | None,
    after: MissingAfter | None,
    limit: int,
) -> Sequence[Missing]:
    """Who is missing, by school, class and name; a counselor sees the own classes.

    An authority's list is read school by school, twice as many each time, until the page is full: a province is not
    sorted for a hundred lines.
    """
    if actor.school_id is not None:
        return await _missing(session, actor, roll_call, class_id, after, limit)
    asked = select(RollCallSchool.school_id).where(RollCallSchool.roll_call_id == roll_call.id)
    if after is not None:
        asked = asked.where(RollCallSchool.school_id >= after[0])
    schools = (await session.scalars(asked.order_by(RollCallSchool.school_id))).all()
    found: list[Missing] = []
    first, size = 0, 2
    while first < len(schools) and len(found) < limit:
        some = schools[first : first + size]
        left = limit - len(found)
        found += await _missing(session, actor, roll_call, class_id, after, left, some)
        first, size = first + size, size * 2
    return found


async def _missing(
    session: AsyncSession,
    actor: Actor,
    roll_call: RollCall,
    class_id: UUID | None,
    after: MissingAfter | None,
    limit: int,
    schools: Sequence[UUID] = (),
) -> Sequence[Missing]:
    # Who it is comes first, and only then what is told of them: most of an audience is present.
    within = schools or ([actor.school_id] if actor.school_id is not None else [])
    owed = _overseen(
        select(Obligation.school_id, Obligation.student_id, Obligation.class_id), actor, class_id
    ).where(*_audience(roll_call, actor), Obligation.duty == "owed")
    if within:
        owed = owed.where(Obligation.school_id.in_(within))
    if await session.get(RollCallStep, (roll_call.id, "settled")) is not None:
        # Everyone has a result by now, so that the missing are among those who ever had another one than "present".
        owed = owed.where(Obligation.student_id.in_(_ever_otherwise(roll_call, within)))
    # The offset keeps the planner, who knows no sizes here, from looking everyone's result up before it is asked whose.
    asked = owed.offset(0).subquery("asked")
    newest = _newest_outcome(roll_call, asked)
    who = (
        select(*asked.c, SchoolClass.name.label("class_name"), newest.c.outcome)
        .join(SchoolClass, SchoolClass.id == asked.c.class_id)
        .outerjoin(newest, true())
        .where(func.coalesce(newest.c.outcome, "") != rules.Outcome.PRESENT.value)
        .order_by(asked.c.school_id, SchoolClass.name, asked.c.student_id)
        .limit(limit)
    )
    if after is not None:
        who = who.where(tuple_(asked.c.school_id, SchoolClass.name, asked.c.student_id) > after)
    found = await session.execute(_told_of(roll_call, who.subquery("missing")))
    return [Missing(*row) for row in found]


def _told_of(roll_call: RollCall, missing: Subquery) -> Select[*tuple[Any, ...]]:
    """The columns of `Missing`, in the order of the list."""
    reasons = _tried(roll_call, missing, Verdict, Verdict.reasons, newest=Verdict.at)
    return (
        select(
            missing.c.school_id,
            missing.c.student_id,
            Student.name,
            Student.phone,
            missing.c.class_id,
            missing.c.class_name,
            _tried(roll_call, missing, Submission, func.count()),
            func.coalesce(reasons, cast([], JSONB)),
            _tried(roll_call, missing, Refusal, Refusal.code, newest=Refusal.at),
            _sent_there(roll_call, missing),
            missing.c.outcome,
        )
        .join_from(missing, Student, Student.id == missing.c.student_id)
        .order_by(missing.c.school_id, missing.c.class_name, missing.c.student_id)
    )


def _newest_outcome(roll_call: RollCall, asked: Subquery) -> FromClause:
    """The outcome in effect of each who was asked."""
    return _newest(select(OutcomeEntry.outcome), roll_call, asked.c).correlate(asked).lateral("newest")


def _ever_otherwise(roll_call: RollCall, schools: Sequence[UUID]) -> Select[UUID]:
    """Who has, or had, a result that is not "present": the few of whom an index knows."""
    found = select(OutcomeEntry.student_id).where(
        OutcomeEntry.term_code == roll_call.term_code,
        OutcomeEntry.roll_call_id == roll_call.id,
        OutcomeEntry.outcome != rules.Outcome.PRESENT.value,
    )
    return found.where(OutcomeEntry.school_id.in_(schools)) if schools else found


def _audience(roll_call: RollCall, actor: Actor) -> Sequence[ColumnElement[bool]]:
    """Of `obligation` rows: those of the roll call, and of the caller's school, which an index finds."""
    of_it = [Obligation.term_code == roll_call.term_code, Obligation.roll_call_id == roll_call.id]
    return of_it if actor.school_id is None else [*of_it, Obligation.school_id == actor.school_id]


def _tried(
    roll_call: RollCall,
    of: Subquery,
    table: type[Submission | Verdict | Refusal],
    what: ColumnElement[Any] | InstrumentedAttribute[Any],
    newest: InstrumentedAttribute[datetime] | None = None,
) -> ScalarSelect[Any]:
    """Of each student's attempts in the roll call: of all, or of the newest one."""
    found = select(what).where(
        table.term_code == roll_call.term_code,
        table.roll_call_id == roll_call.id,
        table.school_id == of.c.school_id,
        table.student_id == of.c.student_id,
    )
    if newest is not None:
        found = found.order_by(newest.desc()).limit(1)
    return found.correlate(of).scalar_subquery()


def _sent_there(roll_call: RollCall, of: Subquery) -> ColumnElement[bool]:
    """Whether the student was sent to the counselor."""
    return exists().where(
        Refusal.term_code == roll_call.term_code,
        Refusal.roll_call_id == roll_call.id,
        Refusal.school_id == of.c.school_id,
        Refusal.student_id == of.c.student_id,
        Refusal.code.in_(SENT_TO_A_PERSON),
    )


def _in_effect(roll_call: RollCall) -> type[OutcomeEntry]:
    """The outcome in effect of each `obligation` row, to be joined as an entity."""
    newest = _newest(select(OutcomeEntry), roll_call, Obligation)
    return aliased(OutcomeEntry, newest.correlate(Obligation).lateral())


def _newest(found: Select[*tuple[Any, ...]], roll_call: RollCall, of: Any) -> Select[*tuple[Any, ...]]:
    """What is `found` of the entry in effect of each student `of` something."""
    return (
        found.where(
            OutcomeEntry.term_code == roll_call.term_code,
            OutcomeEntry.roll_call_id == roll_call.id,
            OutcomeEntry.school_id == of.school_id,
            OutcomeEntry.student_id == of.student_id,
        )
        .order_by(OutcomeEntry.seq.desc())
        .limit(1)
    )


def _overseen(
    found: Select[*tuple[Any, ...]], actor: Actor, class_id: UUID | None
) -> Select[*tuple[Any, ...]]:
    classes = overseen_classes(actor)
    if classes is not None:
        found = found.where(Obligation.class_id.in_(classes))
    return found if class_id is None else found.where(Obligation.class_id == class_id)


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the results of a roll call."""

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


async def results_page(
    session: AsyncSession,
    actor: Actor,
    roll_call: RollCall,
    wanted: ResultFilter,
    after: UUID | None,
    limit: int,
) -> Sequence[Result]:
    """Everyone of the audience with the result in effect, in a stable order."""
    outcome = _in_effect(roll_call)
    found = (
        select(Obligation, Student, SchoolClass, outcome)
        .join(Student, Student.id == Obligation.student_id)
        .join(SchoolClass, SchoolClass.id == Obligation.class_id)
        .outerjoin(outcome, true())
        .where(*_audience(roll_call, actor))
        .order_by(Obligation.student_id)
        .limit(limit)
    )
    found = _overseen(found, actor, wanted.class_id)
    if wanted.school_id is not None:
        found = found.where(Obligation.school_id == wanted.school_id)
    if wanted.outcome is not None:
        found = found.where(outcome.outcome == wanted.outcome)
    if wanted.outcome not in {None, rules.Outcome.PRESENT}:
        ever = _ever_otherwise(roll_call, [wanted.school_id] if wanted.school_id is not None else [])
        found = found.where(Obligation.student_id.in_(ever.where(OutcomeEntry.outcome == wanted.outcome)))
    if after is not None:
        found = found.where(Obligation.student_id > after)
    return [Result(*row) for row in (await session.execute(found)).all()]

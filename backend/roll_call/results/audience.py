"""What the lists over the audience of a roll call share: its students in the caller's scope, and their current outcomes."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Uuid, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from backend.core.actor import Actor
from backend.core.database import equals_any
from backend.org.queries import is_of_schools, schools_below
from backend.people.tables import Student
from backend.roll_call import rules
from backend.roll_call.access import select_counselor_classes
from backend.roll_call.tables import Obligation, OutcomeEntry, RollCall, RollCallSchool

FEW_SCHOOLS = 10
"""The students of so few schools are sorted faster than found among all by name."""
FEW_STUDENTS = 6000
"""So few students are sorted faster than found among all of a province by name."""


async def load_audience_schools(
    session: AsyncSession, actor: Actor, roll_call: RollCall, unit_path: str | None
) -> Sequence[UUID]:
    """The schools of the audience that a list shows, by id: those of the caller's unit, or of a unit below it."""
    if actor.school_id is not None:
        return [actor.school_id]
    schools = select(RollCallSchool.school_id).where(RollCallSchool.roll_call_id == roll_call.id)
    if unit_path is not None:
        schools = schools.where(RollCallSchool.school_id.in_(schools_below(unit_path)))
    return (await session.scalars(schools.order_by(RollCallSchool.school_id))).all()


def filter_audience(
    statement: Select[*tuple[Any, ...]],
    actor: Actor,
    roll_call: RollCall,
    schools: Sequence[UUID] | None,
    class_id: UUID | None,
    student_ids: Sequence[UUID] | None = None,
) -> Select[*tuple[Any, ...]]:
    """Limit `obligation` rows to the roll call, the schools, the classes of a counselor, and the class requested.

    `student_ids` are the students whom a search found. `schools` may then be None for all schools of the scope: the
    policies limit the few rows to them, and comparing each with hundreds of schools takes longer.
    """
    statement = statement.where(
        Obligation.term_code == roll_call.term_code,
        Obligation.roll_call_id == roll_call.id,
        is_of_schools(Obligation.school_id, schools),
    )
    if student_ids is not None:
        statement = statement.where(_is_among(Obligation.student_id, student_ids))
    counselor_classes = select_counselor_classes(actor)
    if counselor_classes is not None:
        statement = statement.where(Obligation.class_id.in_(counselor_classes))
    return statement if class_id is None else statement.where(Obligation.class_id == class_id)


def _is_among(column: InstrumentedAttribute[UUID], ids: Sequence[UUID]) -> ColumnElement[bool]:
    """`column IN (ids)` as a join: a generic plan compares each row with every element of an array instead."""
    return column.in_(select(func.unnest(literal(list(ids), ARRAY(Uuid())))))


def select_not_present(
    roll_call: RollCall, schools: Sequence[UUID], outcome: str | None = None
) -> Select[UUID]:
    """Students who have or had an outcome other than "present", or this one: a few, found by a partial index."""
    students = select(OutcomeEntry.student_id).where(
        OutcomeEntry.term_code == roll_call.term_code,
        OutcomeEntry.roll_call_id == roll_call.id,
        OutcomeEntry.outcome != rules.Outcome.PRESENT.value,
        equals_any(OutcomeEntry.school_id, schools),
    )
    return students if outcome is None else students.where(OutcomeEntry.outcome == outcome)


async def find_matching(
    session: AsyncSession, matching: ColumnElement[bool], rarely_in: RollCall | None
) -> Sequence[UUID] | None:
    """The students of many schools that a search finds, so that the page and the total need not search again.

    `rarely_in` limits them to those who have or had an outcome other than "present" in this roll call. None if the
    search finds too many to name them.
    """
    ids = (await session.scalars(select(Student.id).where(matching).limit(FEW_STUDENTS + 1))).all()
    if len(ids) > FEW_STUDENTS:
        return None
    if rarely_in is None:
        return ids
    entries = (
        select(OutcomeEntry.student_id)
        .where(
            OutcomeEntry.term_code == rarely_in.term_code,
            OutcomeEntry.roll_call_id == rarely_in.id,
            OutcomeEntry.outcome != rules.Outcome.PRESENT.value,
            _is_among(OutcomeEntry.student_id, ids),
        )
        .distinct()
    )
    return (await session.scalars(entries)).all()


def select_current(
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


def current_outcome(roll_call: RollCall) -> type[OutcomeEntry]:
    """The current outcome of each `obligation` row, to be joined as an entity."""
    newest = select_current(select(OutcomeEntry), roll_call, Obligation)
    return aliased(OutcomeEntry, newest.correlate(Obligation).lateral())


def is_missing(outcome: ColumnElement[Any] | InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Condition for an outcome, which may be null: not present, or not yet."""
    return func.coalesce(outcome, "") != rules.Outcome.PRESENT.value

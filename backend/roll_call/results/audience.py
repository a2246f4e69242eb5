"""What the lists over the audience of a roll call share: its students in the caller's scope, and their current outcomes."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from backend.core.actor import Actor
from backend.core.database import equals_any
from backend.org.queries import schools_below
from backend.roll_call import rules
from backend.roll_call.access import select_counselor_classes
from backend.roll_call.tables import Obligation, OutcomeEntry, RollCall, RollCallSchool

FEW_SCHOOLS = 10
"""The students of so few schools are sorted faster than found among all by name."""
FEW_ENTRIES = 2000
"""So few students with an outcome are sorted faster than found among all by name."""


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
    schools: Sequence[UUID],
    class_id: UUID | None,
) -> Select[*tuple[Any, ...]]:
    """Limit `obligation` rows to the roll call, the schools, the classes of a counselor, and the class requested."""
    statement = statement.where(
        Obligation.term_code == roll_call.term_code,
        Obligation.roll_call_id == roll_call.id,
        equals_any(Obligation.school_id, schools),
    )
    counselor_classes = select_counselor_classes(actor)
    if counselor_classes is not None:
        statement = statement.where(Obligation.class_id.in_(counselor_classes))
    return statement if class_id is None else statement.where(Obligation.class_id == class_id)


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


async def are_few(session: AsyncSession, students: Select[UUID]) -> bool:
    """Whether a query finds at most `FEW_ENTRIES` rows."""
    some = students.limit(FEW_ENTRIES + 1).subquery()
    return (await session.scalar(select(func.count()).select_from(some)) or 0) <= FEW_ENTRIES


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

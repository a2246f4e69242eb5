"""When the result of a check-in is final, as SQL conditions over `RollCall` and the outcome in effect."""

from datetime import datetime

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, case, func, literal, or_, select
from sqlalchemy.orm import aliased

from backend.roll_call.rules import REHEARSAL, Outcome
from backend.roll_call.tables import Attestation, OutcomeEntry, RollCall, Submission


def is_outcome_in_effect(table: type[Submission | Attestation]) -> ColumnElement[bool]:
    """Join condition to the latest outcome of the row's student, unless it is undetermined.

    In a rehearsal an undetermined outcome is final, because nothing follows from it.
    """
    later = aliased(OutcomeEntry)
    return and_(
        OutcomeEntry.term_code == table.term_code,
        OutcomeEntry.roll_call_id == table.roll_call_id,
        OutcomeEntry.student_id == table.student_id,
        or_(OutcomeEntry.outcome != Outcome.UNDETERMINED.value, RollCall.kind == REHEARSAL),
        ~select(literal(1))
        .where(
            later.roll_call_id == OutcomeEntry.roll_call_id,
            later.student_id == OutcomeEntry.student_id,
            later.seq == OutcomeEntry.seq + 1,
        )
        .exists(),
    )


def final_at() -> SQLColumnExpression[datetime]:
    """The close of the roll call, or a later outcome."""
    return func.greatest(RollCall.closes_at, RollCall.extended_until, OutcomeEntry.at)


def is_without_consequence() -> ColumnElement[bool]:
    """Whether nothing to the student's disadvantage can follow: present, or undetermined in a rehearsal."""
    return or_(
        OutcomeEntry.outcome == Outcome.PRESENT.value,
        and_(OutcomeEntry.outcome == Outcome.UNDETERMINED.value, RollCall.kind == REHEARSAL),
    )


def was_final(*, accepted: datetime, others: datetime) -> ColumnElement[bool]:
    """Whether the outcome was final by `others`, or by `accepted` if nothing can follow from it."""
    return final_at() <= case((is_without_consequence(), literal(accepted)), else_=literal(others))

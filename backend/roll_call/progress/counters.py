"""Outcome counters in the database: flush pending changes, sum, compare with the outcomes, recount."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, or_, select, union_all
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from backend.roll_call.outcomes import roll_call_term
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import OutcomeCount, OutcomeCountPending, OutcomeEntry

OUTCOMES = tuple(each.value for each in Outcome)


@dataclass(frozen=True, slots=True)
class Miscount:
    """A class whose counters differ from its outcomes: counter minus real number, by outcome."""

    class_id: UUID
    excess: dict[str, int]


async def flush_counters(session: AsyncSession) -> int:
    """Add the pending changes to the counters. Returns the number of classes changed, 0 while another flush runs."""
    return int(await session.scalar(select(func.definer.flush_outcome_counts())) or 0)


async def sum_counters(session: AsyncSession, roll_call_id: UUID) -> dict[str, int]:
    """Number of current outcomes by kind: counters plus pending changes."""
    counted = union_all(
        *(
            select(*(getattr(table, outcome).label(outcome) for outcome in OUTCOMES)).where(
                table.roll_call_id == roll_call_id
            )
            for table in (OutcomeCount, OutcomeCountPending)
        )
    ).subquery()
    sums = await session.execute(
        select(*(func.coalesce(func.sum(counted.c[outcome]), 0) for outcome in OUTCOMES))
    )
    return dict(zip(OUTCOMES, map(int, sums.one()), strict=True))


async def find_miscounts(session: AsyncSession, roll_call_id: UUID) -> list[Miscount]:
    """Classes whose counters differ from their current outcomes, within the session's scope.

    One statement, so that counters and outcomes come from the same snapshot.
    """
    counted = union_all(
        *(
            select(table.class_id, *(getattr(table, outcome).label(outcome) for outcome in OUTCOMES)).where(
                table.roll_call_id == roll_call_id
            )
            for table in (OutcomeCount, OutcomeCountPending)
        ),
        _negated_outcomes(roll_call_id),
    ).subquery()
    excess = [func.sum(counted.c[outcome]) for outcome in OUTCOMES]
    rows = await session.execute(
        select(counted.c.class_id, *excess)
        .group_by(counted.c.class_id)
        .having(or_(*(each != 0 for each in excess)))
        .order_by(counted.c.class_id)
    )
    return [
        Miscount(
            class_id,
            {outcome: int(number) for outcome, number in zip(OUTCOMES, numbers, strict=True) if number},
        )
        for class_id, *numbers in rows
    ]


def _negated_outcomes(roll_call_id: UUID) -> Select[*tuple[Any, ...]]:
    """The current outcomes by class as negative numbers: added to correct counters they give zero."""
    current = (
        select(OutcomeEntry.class_id, OutcomeEntry.outcome)
        .ext(distinct_on(OutcomeEntry.student_id))
        .where(
            OutcomeEntry.term_code == roll_call_term(roll_call_id), OutcomeEntry.roll_call_id == roll_call_id
        )
        .order_by(OutcomeEntry.student_id, OutcomeEntry.seq.desc())
        .subquery()
    )
    return select(
        current.c.class_id,
        *((-func.count().filter(current.c.outcome == outcome)).label(outcome) for outcome in OUTCOMES),
    ).group_by(current.c.class_id)


async def recount_outcomes(session: AsyncSession, roll_call_id: UUID) -> int:
    """Rebuild the counters from the outcomes, blocking writers of outcomes. Returns the number of classes."""
    return int(await session.scalar(select(func.definer.recount_outcomes(roll_call_id))) or 0)

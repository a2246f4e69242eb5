"""Counters of outcomes: folding what was noted, checking them against the outcomes themselves, counting anew."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, or_, select, union_all
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from backend.roll_call.outcomes import load_term
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import OutcomeCount, OutcomeCountPending, OutcomeEntry

KINDS = tuple(each.value for each in Outcome)


@dataclass(frozen=True, slots=True)
class Miscount:
    """A class whose counters are not what its outcomes say: by how much too many, by outcome."""

    class_id: UUID
    excess: dict[str, int]


async def flush_counters(session: AsyncSession) -> int:
    """Add what was noted to the counters; returns how many classes changed. Nothing, while another one folds."""
    return int(await session.scalar(select(func.definer.flush_outcome_counts())) or 0)


async def sums_of(session: AsyncSession, roll_call_id: UUID) -> dict[str, int]:
    """How many outcomes are in effect, by kind, as counted by the statements that wrote them."""
    counted = union_all(
        *(
            select(*(getattr(table, kind).label(kind) for kind in KINDS)).where(
                table.roll_call_id == roll_call_id
            )
            for table in (OutcomeCount, OutcomeCountPending)
        )
    ).subquery()
    sums = await session.execute(select(*(func.coalesce(func.sum(counted.c[kind]), 0) for kind in KINDS)))
    return dict(zip(KINDS, map(int, sums.one()), strict=True))


async def miscounts(session: AsyncSession, roll_call_id: UUID) -> list[Miscount]:
    """Where counters and outcomes in effect differ, under the session's scope; one statement, hence one snapshot."""
    counted = union_all(
        *(
            select(table.class_id, *(getattr(table, kind).label(kind) for kind in KINDS)).where(
                table.roll_call_id == roll_call_id
            )
            for table in (OutcomeCount, OutcomeCountPending)
        ),
        _taken_away(roll_call_id),
    ).subquery()
    excess = [func.sum(counted.c[kind]) for kind in KINDS]
    found = await session.execute(
        select(counted.c.class_id, *excess)
        .group_by(counted.c.class_id)
        .having(or_(*(each != 0 for each in excess)))
        .order_by(counted.c.class_id)
    )
    return [
        Miscount(class_id, {kind: int(each) for kind, each in zip(KINDS, by, strict=True) if each})
        for class_id, *by in found
    ]


def _taken_away(roll_call_id: UUID) -> Select[*tuple[Any, ...]]:
    """The outcomes in effect by class, as negative figures."""
    in_effect = (
        select(OutcomeEntry.class_id, OutcomeEntry.outcome)
        .ext(distinct_on(OutcomeEntry.student_id))
        .where(OutcomeEntry.term_code == load_term(roll_call_id), OutcomeEntry.roll_call_id == roll_call_id)
        .order_by(OutcomeEntry.student_id, OutcomeEntry.seq.desc())
        .subquery()
    )
    return select(
        in_effect.c.class_id,
        *((-func.count().filter(in_effect.c.outcome == kind)).label(kind) for kind in KINDS),
    ).group_by(in_effect.c.class_id)


async def recount(session: AsyncSession, roll_call_id: UUID) -> int:
    """Count a roll call anew from its outcomes; nobody writes one meanwhile. Returns the number of classes."""
    return int(await session.scalar(select(func.definer.recount_outcomes(roll_call_id))) or 0)

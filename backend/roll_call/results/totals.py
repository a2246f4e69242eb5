"""How many students a list of a roll call has, from the counters of its progress instead of its rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.database import equals_any
from backend.core.listing.pages import Total
from backend.roll_call.access import select_counselor_classes
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import OutcomeCount, OutcomeCountPending, RollCall, RollCallClass

_DUTIES = ("owed", "excused", "exempt")
_OUTCOMES = tuple(each.value for each in Outcome)
_Table = type[RollCallClass | OutcomeCount | OutcomeCountPending]


@dataclass(frozen=True, slots=True)
class AudienceCounts:
    """The students of some classes of a roll call by duty, and their current results by outcome."""

    duties: Mapping[str, int]
    outcomes: Mapping[str, int]

    @property
    def missing(self) -> int:
        """How many must check in and are not present.

        Excused and exempt students cannot become present: a check-in, an attestation and a determination are refused
        for them. So all present students are among those who must check in.
        """
        return self.duties["owed"] - self.outcomes[Outcome.PRESENT.value]

    def results(self, outcome: str | None) -> int:
        """How many have this outcome now; None counts all students of the audience."""
        return sum(self.duties.values()) if outcome is None else self.outcomes[outcome]


def exact_total(count: int) -> Total:
    """The total of a list that a counter knows."""
    return Total(count=count, is_exact=True)


async def load_audience_counts(
    session: AsyncSession, actor: Actor, roll_call: RollCall, schools: Sequence[UUID], class_id: UUID | None
) -> AudienceCounts:
    """The counts of these schools, or of one class of them; of a counselor only the own classes.

    One statement, so that a flush of pending changes cannot be counted twice or not at all.
    """

    def sums(table: _Table, columns: Sequence[str]) -> Select[*tuple[Any, ...]]:
        named = (func.coalesce(func.sum(getattr(table, each)), 0).label(each) for each in columns)
        rows = select(*named).where(table.roll_call_id == roll_call.id, equals_any(table.school_id, schools))
        counselor_classes = select_counselor_classes(actor)
        if counselor_classes is not None:
            rows = rows.where(table.class_id.in_(counselor_classes))
        return rows if class_id is None else rows.where(table.class_id == class_id)

    duties = sums(RollCallClass, _DUTIES).where(RollCallClass.term_code == roll_call.term_code).subquery()
    counted, pending = (
        sums(OutcomeCount, _OUTCOMES).subquery(),
        sums(OutcomeCountPending, _OUTCOMES).subquery(),
    )
    numbers = (
        await session.execute(
            select(*duties.c, *(counted.c[each] + pending.c[each] for each in _OUTCOMES)).select_from(
                duties.join(counted, true()).join(pending, true())
            )
        )
    ).one()
    values = [int(each) for each in numbers]
    return AudienceCounts(
        dict(zip(_DUTIES, values[: len(_DUTIES)], strict=True)),
        dict(zip(_OUTCOMES, values[len(_DUTIES) :], strict=True)),
    )

"""A student's roll calls of each term: how many, with which results, and which misses count."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import and_, exists, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotPermitted
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import Obligation, OutcomeEntry, RollCall, RollCallStep
from backend.standing.student_view.counting import judge_miss, load_positions


class _Result(NamedTuple):
    roll_call_id: UUID
    term_code: str
    kind: str
    duty: str
    outcome: str | None
    voided: bool


@dataclass(frozen=True, slots=True)
class TermHistory:
    """The roll calls of a term that were addressed to a student. `counted` of the misses count towards a prompt."""

    term_code: str
    roll_calls: int
    exempt: int
    present: int
    missed: int
    counted: int
    excused: int
    undetermined: int
    open: int


async def load_history(session: AsyncSession, actor: Actor) -> Sequence[TermHistory]:
    """The student's history, newest term first. Raises `NotPermitted` for staff."""
    if actor.student_id is None:
        raise NotPermitted(reason_zh="供学生本人查阅", reason_en="only the student can see this")
    results = await _load_results(session, actor.student_id)
    positions = await load_positions(session, [actor.student_id])
    counted: defaultdict[str, int] = defaultdict(int)
    by_term: defaultdict[str, list[_Result]] = defaultdict(list)
    for each in results:
        by_term[each.term_code].append(each)
        counting = judge_miss(
            positions, actor.student_id, each.roll_call_id, each.kind, each.outcome, voided=each.voided
        )
        counted[each.term_code] += counting is not None and counting.why is None
    return [
        _summarise(term_code, by_term[term_code], counted[term_code])
        for term_code in sorted(by_term, reverse=True)
    ]


async def _load_results(session: AsyncSession, student_id: UUID) -> list[_Result]:
    newest = (
        select(OutcomeEntry.outcome)
        .where(
            OutcomeEntry.term_code == Obligation.term_code,
            OutcomeEntry.roll_call_id == Obligation.roll_call_id,
            OutcomeEntry.school_id == Obligation.school_id,
            OutcomeEntry.student_id == Obligation.student_id,
        )
        .order_by(OutcomeEntry.seq.desc())
        .limit(1)
        .lateral()
    )
    voided = exists().where(RollCallStep.roll_call_id == RollCall.id, RollCallStep.step == "voided")
    rows = await session.execute(
        select(RollCall.id, RollCall.term_code, RollCall.kind, Obligation.duty, newest.c.outcome, voided)
        .join(
            Obligation,
            and_(Obligation.roll_call_id == RollCall.id, Obligation.term_code == RollCall.term_code),
        )
        .outerjoin(newest, true())
        .where(Obligation.student_id == student_id)
    )
    return [_Result(*row) for row in rows]


def _summarise(term_code: str, results: Sequence[_Result], counted: int) -> TermHistory:
    asked = [each for each in results if each.duty != "exempt"]

    def count(outcome: Outcome | None) -> int:
        return sum(each.outcome == outcome for each in asked)

    return TermHistory(
        term_code=term_code,
        roll_calls=len(results),
        exempt=len(results) - len(asked),
        present=count(Outcome.PRESENT),
        missed=count(Outcome.MISSED),
        counted=counted,
        excused=count(Outcome.EXCUSED),
        undetermined=count(Outcome.UNDETERMINED),
        open=count(None),
    )

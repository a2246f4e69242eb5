"""Whether each missed roll call of a student counts towards a prompt, and if not, why (HN334-4.1b, reading 1)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.bilingual import Bilingual
from backend.core.database import equals_any
from backend.roll_call.rules import SPOT_CHECK, Outcome
from backend.standing.engine.misses import CheckStatus
from backend.standing.store.tables import StudentStanding

NOT_COUNTED: Mapping[str, Bilingual] = {
    "reason_accepted": Bilingual(
        "正当理由已被认可，不计入未核验次数", "A justified reason was accepted; not counted"
    ),
    "on_leave": Bilingual("当时在假，不计入未核验次数", "On leave at the time; not counted"),
    "outage": Bilingual(
        "系统或网络中断，不计入未核验次数", "An outage of the service or network; not counted"
    ),
    "vacation": Bilingual("时段在假期内，不计入未核验次数", "The window lay in a vacation; not counted"),
    "earlier_term": Bilingual(
        "属于恢复学籍前的学期，不再计入", "It belongs to a term before the return; no longer counted"
    ),
    "voided": Bilingual("此次核验已作废，不计入未核验次数", "The roll call was voided; not counted"),
    "relaunched": Bilingual(
        "此次核验已重新发起，不计入未核验次数", "The roll call was launched again; not counted"
    ),
    "overlapping_window": Bilingual(
        "与另一次核验时段重叠，不计入未核验次数", "The window overlapped another roll call; not counted"
    ),
    "outside_one_term": Bilingual(
        "时段不在同一学期内，不计入未核验次数", "The window was not within one term; not counted"
    ),
    "appeal_upheld": Bilingual("申诉成立，不计入未核验次数", "An appeal was upheld; not counted"),
    "dismissed": Bilingual(
        "所涉提示因正当理由撤销，不计入未核验次数", "The prompt was dismissed for a reason; not counted"
    ),
    "reversed": Bilingual("所涉处理已撤回，不计入未核验次数", "The decision was reversed; not counted"),
    "answered": Bilingual(
        "已由此前的处理了结，不再计入", "Answered by an earlier decision; not counted again"
    ),
    "evidence_incomplete": Bilingual(
        "证据不足，不计入未核验次数", "The evidence was incomplete; not counted"
    ),
    "never_counts": Bilingual(
        "只有上级发起的核验计入未核验次数", "Only roll calls launched by a superior count"
    ),
    "excluded": Bilingual("不计入未核验次数", "Not counted"),
}
"""Why a missed roll call does not count, by code."""


@dataclass(frozen=True, slots=True)
class MissCounting:
    """How a missed roll call counts. `why` is a code of `NOT_COUNTED`, or None if the miss counts."""

    why: str | None

    @property
    def words(self) -> Bilingual | None:
        return NOT_COUNTED[self.why] if self.why else None


Positions = Mapping[UUID, Mapping[str, str | None]]
"""By student: the counted and the excluded roll calls; the value is why one is excluded."""


async def load_positions(session: AsyncSession, student_ids: Collection[UUID]) -> Positions:
    """How the roll calls of each student count, as last assessed."""
    rows = await session.execute(
        select(StudentStanding.student_id, StudentStanding.assessment["terms"]).where(
            equals_any(StudentStanding.student_id, student_ids)
        )
    )
    return {student_id: _read_positions(terms) for student_id, terms in rows}


def _read_positions(terms: list[dict[str, Any]]) -> dict[str, str | None]:
    items = (item for term in terms for item in term["sequence"])
    return {
        item["check_id"]: item["why"] or None if item["place"] == CheckStatus.EXCLUDED else None
        for item in items
    }


def judge_miss(
    positions: Positions,
    student_id: UUID,
    roll_call_id: UUID,
    kind: str,
    outcome: str | None,
    *,
    voided: bool,
) -> MissCounting | None:
    """How a result counts; None if it is no miss, or a miss that has not been assessed yet.

    Voiding a roll call turns its misses into excused results.
    """
    if voided and outcome in {Outcome.MISSED, Outcome.EXCUSED}:
        return MissCounting("voided")
    if outcome != Outcome.MISSED:
        return None
    if kind != SPOT_CHECK:
        return MissCounting("never_counts")
    of_student = positions.get(student_id, {})
    if str(roll_call_id) not in of_student:
        return None
    why = of_student[str(roll_call_id)]
    return MissCounting(why if why is None or why in NOT_COUNTED else "excluded")


async def load_counting_version(session: AsyncSession, student_id: UUID) -> str:
    """A value that changes whenever `load_positions` of the student may change; part of an ETag."""
    digest = await session.scalar(
        select(func.encode(StudentStanding.digest, "hex")).where(StudentStanding.student_id == student_id)
    )
    return digest or ""

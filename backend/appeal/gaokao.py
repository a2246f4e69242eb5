"""Eligibility for the gaokao on a legal day, as the ledger gives it (HN334-2.4): full-time, and attending school.

A change that was reversed leaves no mark, whenever it was reversed; an upheld appeal makes eligible for its year.
"""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.appeal.errors import DayToCome
from backend.appeal.policy import AppealPolicy
from backend.appeal.rules import exam_year
from backend.appeal.tables import GaokaoFinding
from backend.core.clock import legal_day
from backend.core.errors import NotFound
from backend.people.categories import StudyForm
from backend.roll_call.rules import ACTIVE_STANDINGS
from backend.standing.engine.assess import Assessment
from backend.standing.engine.facts import Status
from backend.standing.engine.ledger import Entry, replay, reversed_ids
from backend.standing.store.load import load_student_refs
from backend.standing.store.lock import assess_now


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Whether a student may take the gaokao of `exam_year` as of the end of a day, and why."""

    on: date
    exam_year: int
    eligible: bool
    status: Status
    reasons: tuple[str, ...]
    entries: tuple[Entry, ...]
    """The changes that made the status of the day, oldest first."""
    finding: GaokaoFinding | None


async def eligibility(session: AsyncSession, student_id: UUID, on: date, at: datetime) -> Eligibility:
    """As it is known at the instant; raises `NotFound`, `DayToCome`, and `AbsentLaw` for a day before the notice."""
    found = await load_student_refs(session, [student_id])
    if student_id not in found:
        raise NotFound
    if on > legal_day(at):
        raise DayToCome
    subject = found[student_id]
    assessment = (await assess_now(session, [subject], at))[student_id]
    year = exam_year(on, AppealPolicy.on(on, subject.path).gaokao_month)
    return judged(assessment, on, year, await _finding(session, student_id, year))


def judged(assessment: Assessment, on: date, year: int, finding: GaokaoFinding | None) -> Eligibility:
    """Eligibility by a picture's ledger."""
    gone = reversed_ids(assessment.ledger)
    entries = tuple(
        entry
        for entry in assessment.ledger
        if entry.reverses is None and entry.entry_id not in gone and legal_day(entry.at) <= on
    )
    initial = assessment.ledger[0].before if assessment.ledger else assessment.status
    status = replay(initial, entries)
    reasons = []
    if status.study_form != StudyForm.FULL_TIME:
        reasons.append("not_full_time")
    if status.standing not in ACTIVE_STANDINGS:
        reasons.append("not_attending")
    if finding is not None:
        reasons.append("appeal_upheld")
    eligible = finding is not None or not reasons
    return Eligibility(on, year, eligible, status, tuple(reasons or ["in_good_standing"]), entries, finding)


async def _finding(session: AsyncSession, student_id: UUID, year: int) -> GaokaoFinding | None:
    return await session.scalar(
        select(GaokaoFinding)
        .where(GaokaoFinding.student_id == student_id, GaokaoFinding.exam_year == year)
        .order_by(GaokaoFinding.at)
        .limit(1)
    )


REASONS: dict[str, tuple[str, str]] = {
    "in_good_standing": (
        "当日为全日制在读，具备报考资格。",
        "Full-time and attending on that day: eligible.",
    ),
    "not_full_time": (
        "当日学习形式不是全日制。",
        "The study form on that day is not full-time.",
    ),
    "not_attending": (
        "当日学籍状态不是在读或复学。",
        "The standing on that day is not that of a student attending school.",
    ),
    "appeal_upheld": (
        "申诉成立，认定具备该年度报考资格。",
        "An appeal was upheld: eligible in that year.",
    ),
}
"""Reason codes in plain words, Chinese and English."""

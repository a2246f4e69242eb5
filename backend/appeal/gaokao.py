"""Eligibility for the gaokao on a legal day, derived from the ledger (HN334-2.4): full-time and attending school.

A reversed change is ignored, no matter when it was reversed. An upheld appeal makes the student eligible for its year.
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
from backend.standing.engine.ledger import LedgerEntry, replay_status, reversed_ids
from backend.standing.store.load import load_student_refs
from backend.standing.store.lock import compute_assessments


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Whether a student was eligible for the gaokao of `exam_year` at the end of a day, and why."""

    on: date
    exam_year: int
    eligible: bool
    status: Status
    reasons: tuple[str, ...]
    entries: tuple[LedgerEntry, ...]
    """The changes behind the status of the day, oldest first."""
    finding: GaokaoFinding | None


async def load_eligibility(session: AsyncSession, student_id: UUID, on: date, at: datetime) -> Eligibility:
    """Eligibility on a day, as known at `at`.

    Raises `NotFound`, `DayToCome`, and `AbsentLaw` for a day before the policy is in force.
    """
    refs = await load_student_refs(session, [student_id])
    if student_id not in refs:
        raise NotFound
    if on > legal_day(at):
        raise DayToCome
    student = refs[student_id]
    assessment = (await compute_assessments(session, [student], at))[student_id]
    year = exam_year(on, AppealPolicy.on(on, student.path).gaokao_month)
    return assess_eligibility(assessment, on, year, await _load_finding(session, student_id, year))


def assess_eligibility(
    assessment: Assessment, on: date, year: int, finding: GaokaoFinding | None
) -> Eligibility:
    """Eligibility on a day from the ledger of an assessment."""
    reversed_entries = reversed_ids(assessment.ledger)
    entries = tuple(
        entry
        for entry in assessment.ledger
        if entry.reverses is None and entry.entry_id not in reversed_entries and legal_day(entry.at) <= on
    )
    initial = assessment.ledger[0].before if assessment.ledger else assessment.status
    status = replay_status(initial, entries)
    reasons = []
    if status.study_form != StudyForm.FULL_TIME:
        reasons.append("not_full_time")
    if status.standing not in ACTIVE_STANDINGS:
        reasons.append("not_attending")
    if finding is not None:
        reasons.append("appeal_upheld")
    eligible = finding is not None or not reasons
    return Eligibility(on, year, eligible, status, tuple(reasons or ["in_good_standing"]), entries, finding)


async def _load_finding(session: AsyncSession, student_id: UUID, year: int) -> GaokaoFinding | None:
    return await session.scalar(
        select(GaokaoFinding)
        .where(GaokaoFinding.student_id == student_id, GaokaoFinding.exam_year == year)
        .order_by(GaokaoFinding.at)
        .limit(1)
    )


REASON_TEXTS: dict[str, tuple[str, str]] = {
    "in_good_standing": (
        "当日为全日制在读，具备报名资格。",
        "Full-time and attending on that day: eligible.",
    ),
    "not_full_time": (
        "当日学习形式不是全日制。",
        "The study form on that day is not full-time.",
    ),
    "not_attending": (
        "当日学籍状态不是在读或复学。",
        "The standing on that day is not that of an attending student.",
    ),
    "appeal_upheld": (
        "申诉成立，认定具备该年度报名资格。",
        "An appeal was upheld: eligible in that year.",
    ),
}
"""The Chinese and English text of each reason code."""

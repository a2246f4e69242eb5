"""Loads the attempts of students in a roll call and derives the outcome that a settlement writes for them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.roll_call.errors import SENT_TO_A_PERSON
from backend.roll_call.outcomes import OutcomeDecision
from backend.roll_call.rules import InTimeSubmission, VerdictDecision, settle_obligation
from backend.roll_call.tables import Refusal, RollCall, Submission, VerdictRecord

SETTLEMENT_METHOD: Final = "settlement"


def in_roll_call(table: type[Submission | Refusal], roll_call: RollCall) -> Sequence[ColumnElement[bool]]:
    """Conditions for the rows of a roll call, in the partition of its term."""
    return (table.term_code == roll_call.term_code, table.roll_call_id == roll_call.id)


def is_referral(roll_call: RollCall) -> ColumnElement[bool]:
    """Condition for the `refusal` rows of a roll call that sent the student to the counselor."""
    return and_(*in_roll_call(Refusal, roll_call), Refusal.code.in_(SENT_TO_A_PERSON))


async def load_attempts(
    session: AsyncSession, roll_call: RollCall, student_ids: Sequence[UUID]
) -> defaultdict[UUID, list[InTimeSubmission]]:
    """The submissions of each student with their verdicts, oldest first; empty for a student without any."""
    rows = await session.execute(
        select(Submission.student_id, VerdictRecord.finding, VerdictRecord.reasons)
        .select_from(Submission)
        .outerjoin(
            VerdictRecord,
            and_(
                VerdictRecord.term_code == roll_call.term_code, VerdictRecord.submission_id == Submission.id
            ),
        )
        .where(*in_roll_call(Submission, roll_call), Submission.student_id.in_(student_ids))
        .order_by(Submission.received_at)
    )
    attempts = defaultdict[UUID, list[InTimeSubmission]](list)
    for student_id, finding, reasons in rows:
        attempts[student_id].append(
            InTimeSubmission(VerdictDecision(finding) if finding else None, tuple(reasons or ()))
        )
    return attempts


async def load_referred_students(
    session: AsyncSession, roll_call: RollCall, student_ids: Sequence[UUID]
) -> set[UUID]:
    """Which of the students were sent to the counselor."""
    referred = select(Refusal.student_id).where(is_referral(roll_call), Refusal.student_id.in_(student_ids))
    return set(await session.scalars(referred))


def decide_from_attempts(attempts: list[InTimeSubmission], *, sent_to_a_person: bool) -> OutcomeDecision:
    """Apply the settlement rule to a student's attempts."""
    result = settle_obligation(attempts, sent_to_a_person=sent_to_a_person)
    trace: dict[str, Any] = {"attempts": [[attempt.finding, list(attempt.reasons)] for attempt in attempts]}
    return OutcomeDecision(result.outcome, result.reason, SETTLEMENT_METHOD, trace)

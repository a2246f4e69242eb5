"""All attempts of one student in one roll call, for the staff who help the student or decide the result."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotFound
from backend.people.tables import SchoolClass
from backend.roll_call.access import access_roll_call, acts_for_launcher, select_counselor_classes
from backend.roll_call.outcomes import find_obligation
from backend.roll_call.student_queries import is_verdict_of_submission, load_refusals
from backend.roll_call.tables import Challenge, Obligation, Refusal, Submission, VerdictRecord


@dataclass(frozen=True, slots=True)
class Attempt:
    """A submission with the challenge that it answered and its verdict, if there is one."""

    submission: Submission
    challenge: Challenge
    verdict: VerdictRecord | None


@dataclass(frozen=True, slots=True)
class AttemptHistory:
    """Attempts and refusals, oldest first. `traced`: whether the reader may see the traces with the thresholds."""

    attempts: Sequence[Attempt]
    refusals: Sequence[Refusal]
    traced: bool


async def load_attempt_history(
    session: AsyncSession, actor: Actor, roll_call_id: UUID, student_id: UUID, at: datetime
) -> AttemptHistory:
    """Load all attempts of a student of the audience. Counselors see only the students of their own classes.

    Only superiors on the launching side may see thresholds, never a school, because the school is what is checked.
    """
    roll_call = await access_roll_call(session, actor, roll_call_id, at)
    obligation = await find_obligation(session, roll_call, student_id)
    if obligation is None or not await _is_overseen(session, actor, obligation):
        raise NotFound
    rows = await session.execute(
        select(Submission, Challenge, VerdictRecord)
        .join(
            Challenge,
            and_(
                Challenge.term_code == Submission.term_code,
                Challenge.school_id == Submission.school_id,
                Challenge.nonce == Submission.nonce,
            ),
        )
        .outerjoin(VerdictRecord, is_verdict_of_submission())
        .where(
            Submission.term_code == roll_call.term_code,
            Submission.roll_call_id == roll_call_id,
            Submission.student_id == student_id,
            Submission.school_id == obligation.school_id,
        )
        .order_by(Submission.received_at)
    )
    return AttemptHistory(
        attempts=[Attempt(*row) for row in rows],
        refusals=await load_refusals(session, roll_call_id, student_id),
        traced=actor.school_id is None and acts_for_launcher(roll_call, actor),
    )


async def _is_overseen(session: AsyncSession, actor: Actor, obligation: Obligation) -> bool:
    """Whether the student's class at the launch is one that the caller oversees."""
    classes = select_counselor_classes(actor)
    if classes is None:
        return True
    own_class = exists().where(SchoolClass.id == obligation.class_id, SchoolClass.id.in_(classes))
    return bool(await session.scalar(select(own_class)))

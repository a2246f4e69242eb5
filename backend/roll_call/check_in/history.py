"""What one student tried in one roll call, for the staff who help or decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotFound
from backend.people.tables import SchoolClass
from backend.roll_call.outcomes import obligation_of
from backend.roll_call.oversight import access_roll_call, on_launching_side, overseen_classes
from backend.roll_call.queries import refusals_of, same_submission
from backend.roll_call.tables import Challenge, Obligation, Refusal, Submission, Verdict


@dataclass(frozen=True, slots=True)
class Attempt:
    """An envelope with the challenge that it answered and what was found, if it is judged."""

    submission: Submission
    challenge: Challenge
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Attempts:
    """Oldest first. `traced`: whether the reader may see how the verdicts came about, thresholds included."""

    attempts: Sequence[Attempt]
    refusals: Sequence[Refusal]
    traced: bool


async def attempts_of(
    session: AsyncSession, actor: Actor, roll_call_id: UUID, student_id: UUID, at: datetime
) -> Attempts:
    """Everything a student of the audience sent; a counselor sees the own classes.

    Thresholds are told to superiors on the launching side alone, never to a school: it is the one that is checked.
    """
    roll_call = await access_roll_call(session, actor, roll_call_id, at)
    obligation = await obligation_of(session, roll_call, student_id)
    if obligation is None or not await _oversees(session, actor, obligation):
        raise NotFound
    found = await session.execute(
        select(Submission, Challenge, Verdict)
        .join(
            Challenge,
            and_(
                Challenge.term_code == Submission.term_code,
                Challenge.school_id == Submission.school_id,
                Challenge.nonce == Submission.nonce,
            ),
        )
        .outerjoin(Verdict, same_submission())
        .where(
            Submission.term_code == roll_call.term_code,
            Submission.roll_call_id == roll_call_id,
            Submission.student_id == student_id,
            Submission.school_id == obligation.school_id,
        )
        .order_by(Submission.received_at)
    )
    return Attempts(
        attempts=[Attempt(*row) for row in found],
        refusals=await refusals_of(session, roll_call_id, student_id),
        traced=actor.school_id is None and on_launching_side(roll_call, actor),
    )


async def _oversees(session: AsyncSession, actor: Actor, obligation: Obligation) -> bool:
    classes = overseen_classes(actor)
    if classes is None:
        return True
    own = exists().where(SchoolClass.id == obligation.class_id, SchoolClass.id.in_(classes))
    return bool(await session.scalar(select(own)))

"""Frames of check-ins: they go when the result is final, and at the latest when nobody may appeal any more."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, case, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.policy import PolicyAt
from backend.retention.deletion import Due, Kind
from backend.retention.legal_holds import held_by_a_case
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import OutcomeEntry, RollCall, Submission, SubmissionFrame


async def due_frames(session: AsyncSession, law: PolicyAt, at: datetime, limit: int) -> Sequence[Due]:
    """Check-ins whose frames nothing needs any more.

    A result that is missing or undetermined holds them; so does a case of the student (`held_by_a_case`). Otherwise the
    time runs from the close, or from a result that came later: a short one for who was present, for the others long
    enough to appeal.
    """
    accepted = law.duration("retention.frames_accepted")
    others = law.duration("retention.frames")
    later = aliased(OutcomeEntry)
    in_effect = and_(
        OutcomeEntry.roll_call_id == Submission.roll_call_id,
        OutcomeEntry.student_id == Submission.student_id,
        OutcomeEntry.outcome != Outcome.UNDETERMINED.value,
        ~select(literal(1))
        .where(
            later.roll_call_id == OutcomeEntry.roll_call_id,
            later.student_id == OutcomeEntry.student_id,
            later.seq == OutcomeEntry.seq + 1,
        )
        .exists(),
    )
    over_at = func.greatest(RollCall.closes_at, RollCall.extended_until, OutcomeEntry.at)
    until = case(
        (OutcomeEntry.outcome == Outcome.PRESENT.value, literal(at - accepted)), else_=literal(at - others)
    )
    size = select(func.sum(SubmissionFrame.size)).where(SubmissionFrame.submission_id == Submission.id)
    files = select(func.count()).where(SubmissionFrame.submission_id == Submission.id)
    found = await session.execute(
        select(Submission, files.scalar_subquery(), size.scalar_subquery())
        .join(RollCall, RollCall.id == Submission.roll_call_id)
        .join(OutcomeEntry, in_effect)
        .where(
            Submission.frames_gone_at.is_(None),
            Submission.received_at <= at - min(accepted, others),
            over_at <= until,
            ~held_by_a_case(Submission.student_id.expression, law, at),
        )
        .order_by(Submission.received_at)
        .limit(limit)
    )
    return [
        Due(row.id, row.received_at, _keys(row), files=stored, size_bytes=size_bytes)
        for row, stored, size_bytes in found
    ]


def _keys(row: Submission) -> tuple[str, ...]:
    """Of every frame that was declared: an upload that was cut off left a file without a row."""
    return tuple(row.frame_key(position) for position in range(row.frame_count))


async def mark_frames(session: AsyncSession, ids: Sequence[UUID], at: datetime) -> Collection[UUID]:
    """Say on the check-ins that their pictures are gone."""
    gone = await session.scalars(
        update(Submission)
        .where(Submission.id.in_(ids), Submission.frames_gone_at.is_(None))
        .values(frames_gone_at=at)
        .returning(Submission.id)
    )
    return gone.all()


FRAMES = Kind("frames", due_frames, mark_frames)

"""The frames of a burst: each must be the very picture that the envelope declared.

What an envelope declared never changes, so a process remembers it from one frame to the next.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.acting import Acting
from backend.core.errors import NotFound
from backend.core.jobs import enqueue
from backend.roll_call import errors
from backend.roll_call.envelope import parse_stored
from backend.roll_call.law import check_in_figures, law_of
from backend.roll_call.tables import RollCall, Submission, SubmissionFrame
from backend.roll_call.verification import verify_submission


@dataclass(frozen=True, slots=True)
class FrameToStore:
    """A declared frame, still to be stored: where, and what its bytes must hash to."""

    submission_id: UUID
    position: int
    sha256: bytes
    limit: int
    evidence_key: str
    stored: bool

    def matches(self, data: bytes) -> bool:
        """Whether these are the very bytes that the envelope declared."""
        return hashlib.sha256(data).digest() == self.sha256


async def frame_to_store(
    session: AsyncSession, acting: Acting, submission_id: UUID, position: int, at: datetime
) -> FrameToStore:
    """Look up what the envelope declared for a frame; the upload itself happens outside any transaction."""
    submission = await session.get(Submission, submission_id)
    if submission is None or submission.student_id != acting.student_id:
        raise NotFound
    roll_call = await session.get_one(RollCall, submission.roll_call_id)
    declared = _declared(submission)
    if not 0 <= position < len(declared):
        raise errors.FrameNotDeclared(position=position)
    stored = await session.get(SubmissionFrame, (submission_id, position))
    if stored is None and at > submission.frames_due_at:
        raise errors.FramesTooLate
    key = submission.frame_key(position)
    limit = check_in_figures(law_of(roll_call)).frame_bytes
    return FrameToStore(submission_id, position, declared[position], limit, key, stored is not None)


def _declared(submission: Submission) -> Sequence[bytes]:
    return [bytes.fromhex(frame.sha256) for frame in parse_stored(submission.envelope).frames]


async def record_frame(
    session: AsyncSession, acting: Acting, frame: FrameToStore, size: int, at: datetime
) -> bool:
    """Record a stored frame; the last one of a burst enqueues the verification. True when the burst is complete."""
    submission = await session.get_one(Submission, frame.submission_id)
    assert acting.student_id == submission.student_id
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(str(submission.id), 0))))
    written = await session.scalar(
        insert(SubmissionFrame)
        .values(
            submission_id=submission.id,
            position=frame.position,
            school_id=submission.school_id,
            student_id=submission.student_id,
            sha256=frame.sha256,
            size=size,
            evidence_key=frame.evidence_key,
            received_at=at,
        )
        .on_conflict_do_nothing()
        .returning(SubmissionFrame.position)
    )
    stored = await session.scalar(select(func.count()).where(SubmissionFrame.submission_id == submission.id))
    complete = stored == submission.frame_count
    if complete and written is not None:
        await enqueue(
            session, verify_submission, submission_id=str(submission.id), school_id=str(submission.school_id)
        )
    return complete

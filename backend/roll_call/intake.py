"""Check-in: the signed envelope and its frames. The server's clock decides; an answer follows the commit."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.acting import Acting
from backend.core.errors import NotFound
from backend.core.ids import new_id
from backend.core.jobs import enqueue
from backend.core.keys import KeyRing
from backend.identity.devices import active_device
from backend.identity.tables import DeviceKey
from backend.roll_call import errors
from backend.roll_call.attempts import Asked, Refused, asked, refuse, standing_refusal
from backend.roll_call.envelope import Envelope, OpenedEnvelope, open_envelope, parse_stored, signed_digest
from backend.roll_call.law import CheckInFigures, check_in_figures, law_of
from backend.roll_call.outcomes import hold_open, lock_obligation
from backend.roll_call.queue import enqueue_verification
from backend.roll_call.receipts import ReceiptFacts, sign_receipt
from backend.roll_call.settlement import resettle_submission
from backend.roll_call.tables import Challenge, RollCall, RollCallStep, Submission, SubmissionFrame
from geo.errors import GeoError
from geo.fixes import validate


@dataclass(frozen=True, slots=True)
class Received:
    """The receipt of an accepted envelope; `first` is False when a retry got the original one."""

    submission_id: UUID
    receipt: str
    frames_due_at: datetime
    first: bool


async def receive_envelope(
    session: AsyncSession, acting: Acting, roll_call_id: UUID, compact: str, at: datetime, keys: KeyRing
) -> Received | Refused:
    """Judge an envelope and store it with its receipt, or record why not. The caller commits, then answers.

    A retry of an envelope whose nonce this student has already used gets the original receipt, late or not:
    what was acknowledged stays acknowledged.
    """
    task = await asked(session, acting, roll_call_id, at)
    digest = signed_digest(compact)
    device = await active_device(session, task.obligation.student_id)
    if device is None:
        raise NotFound
    await lock_obligation(session, roll_call_id, task.obligation.student_id)
    try:
        if len(compact) > task.figures.envelope_bytes:
            raise errors.EnvelopeTooLarge(limit=task.figures.envelope_bytes)
        opened = open_envelope(compact, device.public_jwk)
        earlier = await _earlier(session, task, opened)
        if earlier is not None:
            return Received(earlier.id, earlier.receipt, earlier.frames_due_at, first=False)
        await _check_envelope(session, task, opened.content, device, at)
    except errors.CheckInRefusal as error:
        return await refuse(session, task, "envelope", error, at, digest)
    return await _accept(session, task, opened, device, compact, at, keys)


async def _earlier(session: AsyncSession, task: Asked, opened: OpenedEnvelope) -> Submission | None:
    return await session.scalar(
        select(Submission).where(
            Submission.nonce == opened.content.nonce,
            Submission.roll_call_id == task.roll_call.id,
            Submission.student_id == task.obligation.student_id,
        )
    )


async def _check_envelope(
    session: AsyncSession, task: Asked, content: Envelope, device: DeviceKey, at: datetime
) -> None:
    if content.roll_call != task.roll_call.id:
        raise errors.EnvelopeElsewhere
    refusal = await standing_refusal(session, task, at)
    if isinstance(refusal, errors.CheckInRefusal):
        raise refusal
    challenge = await session.get(Challenge, content.nonce)
    if (
        challenge is None
        or challenge.student_id != task.obligation.student_id
        or challenge.roll_call_id != task.roll_call.id
        or challenge.key_thumbprint != device.jkt
    ):
        raise errors.NonceUnknown
    if at > challenge.expires_at:
        raise errors.NonceExpired
    recent = await session.scalar(
        select(func.count()).where(
            Submission.student_id == task.obligation.student_id,
            Submission.roll_call_id == task.roll_call.id,
            Submission.received_at > at - timedelta(minutes=1),
        )
    )
    if (recent or 0) >= task.figures.envelopes_per_minute:
        raise errors.TooManyAttempts
    _check_content(content, task.figures)


def _check_content(content: Envelope, figures: CheckInFigures) -> None:
    if not figures.frames_minimum <= len(content.frames) <= figures.frames_maximum:
        raise errors.EnvelopeMalformed(reason="frames")
    if any(frame.size > figures.frame_bytes for frame in content.frames):
        raise errors.EnvelopeMalformed(reason="frames.size")
    if len({frame.sha256 for frame in content.frames}) != len(content.frames):
        raise errors.EnvelopeMalformed(reason="frames.sha256")
    if not figures.fixes_minimum <= len(content.fixes) <= figures.fixes_maximum:
        raise errors.EnvelopeMalformed(reason="fixes")
    try:
        for part in content.fixes:
            validate(part.fix(), max_age_s=figures.fix_age_s)
    except GeoError as error:
        raise errors.FixRefused(
            code=error.code, reason_zh=error.sentence("zh"), reason_en=error.sentence("en")
        ) from error


async def _accept(
    session: AsyncSession,
    task: Asked,
    opened: OpenedEnvelope,
    device: DeviceKey,
    compact: str,
    at: datetime,
    keys: KeyRing,
) -> Received:
    await hold_open(session, task.roll_call.id)
    submission_id = new_id()
    frames_due_at = min(at, task.roll_call.deadline) + task.figures.frames_grace
    receipt = sign_receipt(
        keys,
        ReceiptFacts(
            submission_id, task.roll_call.id, task.obligation.student_id, opened.digest, at, frames_due_at
        ),
    )
    session.add(
        Submission(
            id=submission_id,
            roll_call_id=task.roll_call.id,
            school_id=task.obligation.school_id,
            term_code=task.roll_call.term_code,
            student_id=task.obligation.student_id,
            nonce=opened.content.nonce,
            key_thumbprint=device.jkt,
            in_cool_down=device.cool_down_until is not None and device.cool_down_until > at,
            envelope=compact,
            envelope_digest=opened.digest,
            frame_count=len(opened.content.frames),
            receipt=receipt,
            received_at=at,
            frames_due_at=frames_due_at,
        )
    )
    await session.flush()
    if await session.get(RollCallStep, (task.roll_call.id, "settled")) is not None:
        # It arrived in time and waited here while the roll call was settled without it.
        await enqueue(
            session,
            resettle_submission,
            submission_id=str(submission_id),
            school_id=str(task.obligation.school_id),
        )
    return Received(submission_id, receipt, frames_due_at, first=True)


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
            term_code=submission.term_code,
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
        await enqueue_verification(session, Submission.id == submission.id, at)
    return complete

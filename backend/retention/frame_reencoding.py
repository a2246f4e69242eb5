"""Frames after their judgement: what the phone sent is replaced by a picture of the same pixels and nothing else.

Until the verdict a frame must be what the phone signed, to the byte. After it the signed hash stays on the row, for the
look-up of frames that were sent before, beside the hash of the copy that is kept.
"""

import asyncio
import hashlib
from collections.abc import Sequence

import structlog
from sqlalchemy import select, update

from backend.core.app_context import AppContext
from backend.core.tenancy import Scope
from backend.identity.face.pool import face_pool
from backend.org.paths import path_of
from backend.roll_call.tables import Submission, SubmissionFrame, Verdict
from biometrics.pool import FaceWorkerLost

AT_ONCE, AT_MOST = 64, 2048
NOTHING = b""
"""The hash of a frame that is not kept: it was no picture, or the store had lost it."""

log = structlog.get_logger()


async def redraw_judged(app_context: AppContext, at_most: int = AT_MOST) -> int:
    """Redraw the frames of judged check-ins, the oldest first; returns how many. Doing it twice is no error.

    One that kills the workers stays as it was sent until retention deletes it.
    """
    done = 0
    while done < at_most:
        frames = await _judged(app_context)
        hashes = await asyncio.gather(*(_replace(app_context, frame) for frame in frames))
        rows = [
            {
                "submission_id": frame.submission_id,
                "position": frame.position,
                "school_id": frame.school_id,
                "term_code": frame.term_code,
                "kept_sha256": kept,
            }
            for frame, kept in zip(frames, hashes, strict=True)
            if kept is not None
        ]
        if not rows:
            break
        async with app_context.database.transaction(_province(app_context)) as session:
            await session.execute(update(SubmissionFrame), rows)
        done += len(rows)
    return done


def _province(app_context: AppContext) -> Scope:
    return Scope.wide(path_of("province", app_context.settings.province_code, None))


async def _judged(app_context: AppContext) -> Sequence[SubmissionFrame]:
    judged = (
        select(SubmissionFrame)
        .join(Verdict, Verdict.submission_id == SubmissionFrame.submission_id)
        .join(Submission, Submission.id == SubmissionFrame.submission_id)
        .where(SubmissionFrame.kept_sha256.is_(None), Submission.frames_gone_at.is_(None))
        .order_by(SubmissionFrame.received_at)
        .limit(AT_ONCE)
    )
    async with app_context.database.transaction(_province(app_context)) as session:
        return (await session.scalars(judged)).all()


async def _replace(app_context: AppContext, frame: SubmissionFrame) -> bytes | None:
    """The hash of what is kept now; None if the frame stays as it was sent."""
    try:
        sent = await app_context.evidence.get(frame.evidence_key)
        drawn = await app_context.service(face_pool).redraw(sent)
    except FileNotFoundError:
        drawn = None
    except FaceWorkerLost:
        log.warning("frame not redrawn", submission=str(frame.submission_id), position=frame.position)
        return None
    if drawn is None:
        await app_context.evidence.delete([frame.evidence_key])
        return NOTHING
    await app_context.evidence.put(frame.evidence_key, drawn)
    return hashlib.sha256(drawn).digest()

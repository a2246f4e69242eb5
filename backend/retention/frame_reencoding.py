"""Replaces the uploaded frames of verified check-ins by new JPEGs of the same pixels, without metadata.

Until the verdict, a frame must be byte for byte what the phone signed. Afterwards the row keeps the signed hash, to look
up frames that were sent before, and also stores the hash of the new copy.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlalchemy import select, update

from backend.core.app_context import AppContext
from backend.core.tenancy import Scope
from backend.identity.face.pool import face_pool
from backend.identity.pictures.keys import load_picture_keys
from backend.identity.pictures.store import delete_pictures, get_picture, put_picture
from backend.org.paths import build_unit_path
from backend.roll_call.tables import Submission, SubmissionFrame, VerdictRecord
from biometrics.pool import FaceWorkerLost
from biometrics.templates.sealing import PictureKey, PictureUnreadable

BATCH_SIZE, MAX_FRAMES = 64, 2048
NO_COPY = b""
"""The hash if no copy is stored: the frame was not a picture, was altered, or was missing in the evidence store."""

log = structlog.get_logger()


async def reencode_verified_frames(app_context: AppContext, max_frames: int = MAX_FRAMES) -> int:
    """Re-encode the frames of verified check-ins, oldest first. Returns how many. Idempotent.

    A frame that crashes the workers stays as it was sent until retention deletes it.
    """
    done = 0
    while done < max_frames:
        frames = await _load_verified_frames(app_context)
        keys = await _load_keys(app_context, frames)
        hashes = await asyncio.gather(
            *(_replace_frame(app_context, frame, keys.get(frame.student_id)) for frame in frames)
        )
        rows = [
            {
                "submission_id": frame.submission_id,
                "position": frame.position,
                "school_id": frame.school_id,
                "term_code": frame.term_code,
                "kept_sha256": copy_hash,
            }
            for frame, copy_hash in zip(frames, hashes, strict=True)
            if copy_hash is not None
        ]
        if not rows:
            break
        async with app_context.database.transaction(_province(app_context)) as session:
            await session.execute(update(SubmissionFrame), rows)
        done += len(rows)
    return done


def _province(app_context: AppContext) -> Scope:
    return Scope.wide(build_unit_path("province", app_context.settings.province_code, None))


async def _load_verified_frames(app_context: AppContext) -> Sequence[SubmissionFrame]:
    verified = (
        select(SubmissionFrame)
        .join(VerdictRecord, VerdictRecord.submission_id == SubmissionFrame.submission_id)
        .join(Submission, Submission.id == SubmissionFrame.submission_id)
        .where(SubmissionFrame.kept_sha256.is_(None), Submission.frames_deleted_at.is_(None))
        .order_by(SubmissionFrame.received_at)
        .limit(BATCH_SIZE)
    )
    async with app_context.database.transaction(_province(app_context)) as session:
        return (await session.scalars(verified)).all()


async def _load_keys(app_context: AppContext, frames: Sequence[SubmissionFrame]) -> dict[UUID, PictureKey]:
    """The picture keys of the frames' students; unreadable ones are left out."""
    async with app_context.database.transaction(_province(app_context)) as session:
        loaded = await load_picture_keys(session, app_context.keys, {frame.student_id for frame in frames})
    return {student_id: key for student_id, key in loaded.items() if isinstance(key, PictureKey)}


async def _replace_frame(
    app_context: AppContext, frame: SubmissionFrame, key: PictureKey | None
) -> bytes | None:
    """Replace a frame in the evidence store. Returns the hash of the copy; None if the frame stays as it was sent."""
    try:
        original = await get_picture(app_context, key, frame.picture)
        encoded = await app_context.service(face_pool).reencode(original)
    except (FileNotFoundError, PictureUnreadable):
        encoded = None
    except FaceWorkerLost:
        log.warning("frame not reencoded", submission=str(frame.submission_id), position=frame.position)
        return None
    if encoded is None or key is None:
        await delete_pictures(app_context, key, [frame.picture])
        return NO_COPY
    await put_picture(app_context, key, frame.picture, encoded)
    return hashlib.sha256(encoded).digest()

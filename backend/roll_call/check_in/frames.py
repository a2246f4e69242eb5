"""Upload of the frames of a burst. The bytes of each frame must have the hash that the envelope declared.

One query before the upload returns the declared hash; after the upload, frames are recorded in batches. The transaction
that records the last frame of a burst also puts the submission into the verification queue.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.batching.batch_writer import BatchLimits, BatchWriter
from backend.core.errors import NotFound
from backend.core.tenancy import Scope
from backend.core.web.requests import BodyTooLarge
from backend.identity.pictures.keys import StoredPictureKey, ensure_picture_key
from backend.identity.pictures.refs import PictureKind, PictureRef
from backend.identity.pictures.store import put_picture
from backend.roll_call import errors
from backend.roll_call.envelope import parse_stored_envelope
from backend.roll_call.policy import load_check_in_limits
from biometrics.pictures.containers import declared_size
from biometrics.pictures.decoding import DecodeLimits
from biometrics.templates.sealing import PictureKey

BATCH = 64
"""Maximum number of frames recorded in one transaction; each is one row without a signature check."""

_HEAD_BYTES = 64 * 1024
"""The part of a frame that is searched for its dimensions. A picture that tells them later is left to the worker."""


@dataclass(frozen=True, slots=True)
class DeclaredFrame:
    """A frame as the envelope declared it: its hash, its limits, the key that seals it, and whether it is stored."""

    picture: PictureRef
    sha256: bytes
    limits: DecodeLimits
    key: PictureKey
    stored: bool

    @property
    def submission_id(self) -> UUID:
        """The submission that declared it."""
        return self.picture.source_id

    @property
    def position(self) -> int:
        """The position in the burst, from 0 on."""
        return self.picture.position


_DECLARED = text("SELECT * FROM definer.declared_frames(:submission, :school, :student, :position)")


async def load_declared_frame(
    app_context: AppContext, actor: Actor, submission_id: UUID, position: int, at: datetime
) -> DeclaredFrame:
    """Load what the envelope declared for a frame, and the student's picture key, in one query.

    The upload itself happens outside any transaction.
    """
    assert actor.school_id is not None
    assert actor.student_id is not None
    rows = await app_context.database.fetch_autocommit(
        _DECLARED,
        submission=submission_id,
        school=actor.school_id,
        student=actor.student_id,
        position=position,
    )
    if not rows:
        raise NotFound
    row = rows[0]
    declared = parse_stored_envelope(row["envelope"]).frames
    if not 0 <= position < len(declared):
        raise errors.FrameNotDeclared(position=position)
    if not row["stored"] and at > row["frames_due_at"]:
        raise errors.FramesTooLate
    return DeclaredFrame(
        picture=PictureRef(PictureKind.FRAME, actor.school_id, actor.student_id, submission_id, position),
        sha256=bytes.fromhex(declared[position].sha256),
        limits=load_check_in_limits(row["launched_at"], row["place"]).frame_decoding,
        key=await _picture_key(app_context, actor.school_id, actor.student_id, row, at),
        stored=row["stored"],
    )


async def _picture_key(
    app_context: AppContext, school_id: UUID, student_id: UUID, row: Mapping[str, Any], at: datetime
) -> PictureKey:
    """Unwrap the key that came with the frame. Only a student without any picture needs a transaction, to create it."""
    if row["picture_key"] is not None:
        stored = StoredPictureKey(
            student_id, school_id, row["picture_key"], row["root_version"], row["school_key"]
        )
        return stored.unwrap(app_context.keys)
    async with app_context.database.transaction(Scope.student(school_id, student_id)) as session:
        return await ensure_picture_key(session, app_context.keys, school_id, student_id, at)


async def read_frame(frame: DeclaredFrame, chunks: AsyncIterator[bytes]) -> bytes:
    """Read an upload and check it, so that the phone learns at once what is wrong, not after the burst.

    The bytes must be the declared ones, and a picture of a format that can be read, with few enough pixels. A frame is
    held in memory as a whole, because it is sealed as a whole; reading stops at the limit. Raises BodyTooLarge,
    FrameHashMismatch, ImageUnsupported or ImageTooLarge.
    """
    data = bytearray()
    async for chunk in chunks:
        data += chunk
        if len(data) > frame.limits.max_bytes:
            raise BodyTooLarge(limit=frame.limits.max_bytes)
    if hashlib.sha256(data).digest() != frame.sha256:
        raise errors.FrameHashMismatch(position=frame.position)
    size = declared_size(bytes(data[:_HEAD_BYTES]))
    if size is not None:
        frame.limits.check_size(*size)
    return bytes(data)


async def store_frame(app_context: AppContext, frame: DeclaredFrame, chunks: AsyncIterator[bytes]) -> int:
    """Check the bytes, and seal and store them unless they are stored already. Returns their number."""
    data = await read_frame(frame, chunks)
    if not frame.stored:
        await put_picture(app_context, frame.key, frame.picture, data)
    return len(data)


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """A frame whose bytes are in the evidence store, and that is to be recorded."""

    frame: DeclaredFrame
    actor: Actor
    size: int
    at: datetime

    def row(self) -> dict[str, object]:
        """Return the JSON row for `definer.store_frames`."""
        return {
            "submission": str(self.frame.submission_id),
            "position": self.frame.position,
            "school": str(self.actor.school_id),
            "student": str(self.actor.student_id),
            "sha256": self.frame.sha256.hex(),
            "size": self.size,
            "evidence_key": self.frame.picture.evidence_key(self.frame.key),
            "at": self.at.isoformat(),
        }


_STORE = text("SELECT * FROM definer.store_frames(CAST(:frames AS json))")


async def record_frames(session: AsyncSession, frames: Sequence[StoredFrame]) -> list[bool]:
    """Record stored frames and enqueue each burst that became complete. Returns for each frame if its burst is complete."""
    rows = await session.execute(_STORE, {"frames": json.dumps([each.row() for each in frames])})
    complete = {row["submission_id"] for row in rows.mappings() if row["complete"]}
    return [each.frame.submission_id in complete for each in frames]


class FrameRecorder:
    """Records the frames of one process in batches."""

    def __init__(self, app_context: AppContext) -> None:
        self._database = app_context.database
        self._writer: BatchWriter[StoredFrame, bool] = BatchWriter(
            self._write_batch, self._write_alone, BatchLimits(BATCH)
        )

    async def record(self, frame: StoredFrame) -> bool:
        """Record the frame and return whether its burst is complete."""
        return await self._writer.write(frame)

    async def _write_batch(self, frames: Sequence[StoredFrame]) -> list[bool]:
        async with self._database.transaction(Scope.none()) as session:
            return await record_frames(session, frames)

    async def _write_alone(self, frame: StoredFrame) -> bool:
        (complete,) = await self._write_batch([frame])
        return complete

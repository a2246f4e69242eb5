"""Upload of the frames of a burst. The bytes of each frame must have the hash that the envelope declared.

One query before the upload returns the declared hash; after the upload, frames are recorded in batches. The transaction
that records the last frame of a burst also puts the submission into the verification queue.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.batching.batch_writer import BatchLimits, BatchWriter
from backend.core.database import Database
from backend.core.errors import NotFound
from backend.core.tenancy import Scope
from backend.core.web.requests import BodyTooLarge
from backend.identity.pictures.refs import PictureKind, PictureRef
from backend.roll_call import errors
from backend.roll_call.envelope import parse_stored_envelope
from backend.roll_call.policy import load_check_in_limits
from biometrics.pictures.containers import declared_size
from biometrics.pictures.decoding import DecodeLimits

BATCH = 64
"""Maximum number of frames recorded in one transaction; each is one row without a signature check."""

_HEAD_BYTES = 64 * 1024
"""The part of a frame that is searched for its dimensions. A picture that tells them later is left to the worker."""


@dataclass(frozen=True, slots=True)
class DeclaredFrame:
    """A frame as the envelope declared it: its hash, its limits, where to store it, and whether it is stored."""

    submission_id: UUID
    position: int
    sha256: bytes
    limits: DecodeLimits
    evidence_key: str
    stored: bool


_DECLARED = text("SELECT * FROM definer.declared_frames(:submission, :school, :student, :position)")


async def load_declared_frame(
    database: Database, actor: Actor, submission_id: UUID, position: int, at: datetime
) -> DeclaredFrame:
    """Load what the envelope declared for a frame. The upload itself happens outside any transaction."""
    rows = await database.fetch_autocommit(
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
    limits = load_check_in_limits(row["launched_at"], row["place"]).frame_decoding
    assert actor.school_id is not None
    assert actor.student_id is not None
    picture = PictureRef(PictureKind.FRAME, actor.school_id, actor.student_id, submission_id, position)
    digest = bytes.fromhex(declared[position].sha256)
    return DeclaredFrame(submission_id, position, digest, limits, picture.evidence_key, row["stored"])


@dataclass(slots=True)
class HashCheckedStream:
    """The uploaded bytes of a frame, checked while they are read.

    The stream raises before it ends if the bytes are not the declared ones, not a picture of a format that can be
    read, or one with too many pixels, so that the evidence store discards them and the phone learns it at once, not after the burst.
    """

    frame: DeclaredFrame
    chunks: AsyncIterator[bytes]
    size: int = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the chunks; raises BodyTooLarge, FrameHashMismatch, ImageUnsupported or ImageTooLarge."""
        digest, head = hashlib.sha256(), b""
        async for chunk in self.chunks:
            self.size += len(chunk)
            if self.size > self.frame.limits.max_bytes:
                raise BodyTooLarge(limit=self.frame.limits.max_bytes)
            digest.update(chunk)
            head += chunk[: _HEAD_BYTES - len(head)]
            yield chunk
        if digest.digest() != self.frame.sha256:
            raise errors.FrameHashMismatch(position=self.frame.position)
        size = declared_size(head)
        if size is not None:
            self.frame.limits.check_size(*size)


async def store_frame(app_context: AppContext, frame: DeclaredFrame, chunks: AsyncIterator[bytes]) -> int:
    """Check the bytes and store them unless they are stored already. Returns the number of bytes."""
    stream = HashCheckedStream(frame, chunks)
    if frame.stored:
        async for _ in stream:
            pass
    else:
        await app_context.evidence.put_stream(frame.evidence_key, aiter(stream))
    return stream.size


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
            "evidence_key": self.frame.evidence_key,
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

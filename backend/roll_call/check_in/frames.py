"""The frames of a burst: each must be the very picture that the envelope declared.

A frame takes one statement before its bytes, which says what they must be, and after them a share of a transaction with
all that arrived meanwhile. The last frame of a burst puts it into the queue of verification in that same transaction.
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
from backend.roll_call import errors
from backend.roll_call.envelope import parse_stored
from backend.roll_call.policy import figures_of

BATCH = 64
"""Frames of a transaction at most: a row each, and no signature."""


@dataclass(frozen=True, slots=True)
class FrameToStore:
    """A declared frame, still to be stored: where, and what its bytes must hash to."""

    submission_id: UUID
    position: int
    sha256: bytes
    limit: int
    evidence_key: str
    stored: bool


_DECLARED = text("SELECT * FROM definer.declared_frames(:submission, :school, :student, :position)")


async def frame_to_store(
    database: Database, actor: Actor, submission_id: UUID, position: int, at: datetime
) -> FrameToStore:
    """Look up what the envelope declared for a frame; the upload itself happens outside any transaction."""
    rows = await database.ask(
        _DECLARED,
        submission=submission_id,
        school=actor.school_id,
        student=actor.student_id,
        position=position,
    )
    if not rows:
        raise NotFound
    row = rows[0]
    declared = parse_stored(row["envelope"]).frames
    if not 0 <= position < len(declared):
        raise errors.FrameNotDeclared(position=position)
    if not row["stored"] and at > row["frames_due_at"]:
        raise errors.FramesTooLate
    limit = figures_of(row["launched_at"], row["place"]).frame_bytes
    key = f"frames/{row['roll_call_id']}/{submission_id}/{position}"
    digest = bytes.fromhex(declared[position].sha256)
    return FrameToStore(submission_id, position, digest, limit, key, row["stored"])


@dataclass(slots=True)
class Checked:
    """The bytes of a frame on their way into the store: counted, and refused at the end unless they are the declared ones.

    Whoever stores them sees the refusal before the last byte is kept.
    """

    frame: FrameToStore
    pieces: AsyncIterator[bytes]
    size: int = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces; raises BodyTooLarge or FrameHashMismatch."""
        digest = hashlib.sha256()
        async for piece in self.pieces:
            self.size += len(piece)
            if self.size > self.frame.limit:
                raise BodyTooLarge(limit=self.frame.limit)
            digest.update(piece)
            yield piece
        if digest.digest() != self.frame.sha256:
            raise errors.FrameHashMismatch(position=self.frame.position)


async def store_frame(app_context: AppContext, frame: FrameToStore, pieces: AsyncIterator[bytes]) -> int:
    """Check the bytes and store them, unless they are stored already; how many there were."""
    checked = Checked(frame, pieces)
    if frame.stored:
        async for _ in checked:
            pass
    else:
        await app_context.evidence.put_stream(frame.evidence_key, aiter(checked))
    return checked.size


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """A frame whose bytes are in the store."""

    frame: FrameToStore
    actor: Actor
    size: int
    at: datetime

    def row(self) -> dict[str, object]:
        """As the database takes it."""
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
    """Record stored frames; the last one of a burst enqueues its verification. For each, whether its burst is complete."""
    found = await session.execute(_STORE, {"frames": json.dumps([each.row() for each in frames])})
    complete = {row["submission_id"] for row in found.mappings() if row["complete"]}
    return [each.frame.submission_id in complete for each in frames]


class FrameRegister:
    """Where the frames of a process are recorded by the batch."""

    def __init__(self, app_context: AppContext) -> None:
        self._database = app_context.database
        self._gatherer: BatchWriter[StoredFrame, bool] = BatchWriter(
            self._write, self._alone, BatchLimits(BATCH)
        )

    async def record(self, frame: StoredFrame) -> bool:
        """Whether the burst is complete, once the frame is on record."""
        return await self._gatherer.answer(frame)

    async def _write(self, frames: Sequence[StoredFrame]) -> list[bool]:
        async with self._database.transaction(Scope.none()) as session:
            return await record_frames(session, frames)

    async def _alone(self, frame: StoredFrame) -> bool:
        (complete,) = await self._write([frame])
        return complete

"""Seals the pictures that earlier versions stored as plain files under names with student ids.

Run once after the upgrade. What it reads is deleted, so an interrupted run is continued by the next one.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.app_context import AppContext
from backend.core.tenancy import Scope
from backend.identity.face.picture_refs import EnrolmentRef, PortraitRef
from backend.identity.pictures.keys import ensure_picture_key
from backend.identity.pictures.refs import PictureRef
from backend.identity.pictures.store import put_picture
from backend.identity.tables import FaceEnrolment, Portrait
from backend.org.paths import build_unit_path
from backend.roll_call.tables import Submission, SubmissionFrame
from biometrics.templates.sealing import PictureKey

BATCH_SIZE = 200
_SEALED = "pictures/%"
"""The names of sealed files."""


@dataclass(frozen=True, slots=True)
class PlainPicture:
    """A picture with the name that an earlier version gave to its file."""

    name: str
    picture: PictureRef


async def seal_plain_pictures(app_context: AppContext, progress: Callable[[int], None]) -> int:
    """Seal all plain pictures that are still kept. Returns how many; `progress` receives the running total."""
    done = 0
    for batches in (_portraits(app_context), _shots(app_context), _frames(app_context)):
        async for batch in batches:
            done += await _seal_batch(app_context, batch)
            progress(done)
    return done


async def _seal_batch(app_context: AppContext, batch: Sequence[PlainPicture]) -> int:
    keys: dict[UUID, PictureKey] = {}
    at = app_context.clock()
    async with app_context.database.transaction(_province(app_context)) as session:
        for school_id, student_id in sorted(
            {(each.picture.school_id, each.picture.student_id) for each in batch}
        ):
            keys[student_id] = await ensure_picture_key(session, app_context.keys, school_id, student_id, at)
    return sum([await _seal(app_context, keys[each.picture.student_id], each) for each in batch])


async def _seal(app_context: AppContext, key: PictureKey, plain: PlainPicture) -> bool:
    """Seal one file and delete it. False if it is gone: sealed by an earlier run, lost, or never written."""
    try:
        data = await app_context.evidence.get(plain.name)
    except FileNotFoundError:
        return False
    if not await app_context.evidence.exists(plain.picture.evidence_key(key)):
        await put_picture(app_context, key, plain.picture, data)
    await app_context.evidence.delete([plain.name])
    return True


def _province(app_context: AppContext) -> Scope:
    return Scope.wide(build_unit_path("province", app_context.settings.province_code, None))


async def _portraits(app_context: AppContext) -> AsyncIterator[list[PlainPicture]]:
    after: UUID | None = None
    while True:
        page = (
            select(Portrait)
            .where(Portrait.picture_deleted_at.is_(None), Portrait.evidence_key.not_like(_SEALED))
            .order_by(Portrait.id)
            .limit(BATCH_SIZE)
        )
        if after is not None:
            page = page.where(Portrait.id > after)
        async with app_context.database.transaction(_province(app_context)) as session:
            rows = (await session.scalars(page)).all()
        if not rows:
            return
        yield [PlainPicture(row.evidence_key, PortraitRef.of(row).picture) for row in rows]
        after = rows[-1].id


async def _shots(app_context: AppContext) -> AsyncIterator[list[PlainPicture]]:
    after: UUID | None = None
    while True:
        page = (
            select(FaceEnrolment)
            .where(FaceEnrolment.shots_deleted_at.is_(None))
            .order_by(FaceEnrolment.id)
            .limit(BATCH_SIZE)
        )
        if after is not None:
            page = page.where(FaceEnrolment.id > after)
        async with app_context.database.transaction(_province(app_context)) as session:
            rows = (await session.scalars(page)).all()
        if not rows:
            return
        yield [
            PlainPicture(f"enrolment/{row.student_id}/{row.id}/{picture.position}", picture)
            for row in rows
            for picture in EnrolmentRef(row.id, row.school_id, row.student_id).pictures(row.shots)
        ]
        after = rows[-1].id


async def _frames(app_context: AppContext) -> AsyncIterator[list[PlainPicture]]:
    after: tuple[UUID, int] | None = None
    while True:
        async with app_context.database.transaction(_province(app_context)) as session:
            rows = await _load_frames(session, after)
        if not rows:
            return
        yield [PlainPicture(row.evidence_key, row.picture) for row in rows]
        after = rows[-1].submission_id, rows[-1].position


async def _load_frames(session: AsyncSession, after: tuple[UUID, int] | None) -> Sequence[SubmissionFrame]:
    page = (
        select(SubmissionFrame)
        .join(Submission, Submission.id == SubmissionFrame.submission_id)
        .where(Submission.frames_deleted_at.is_(None), SubmissionFrame.evidence_key.not_like(_SEALED))
        .order_by(SubmissionFrame.submission_id, SubmissionFrame.position)
        .limit(BATCH_SIZE)
    )
    if after is not None:
        page = page.where(tuple_(SubmissionFrame.submission_id, SubmissionFrame.position) > after)
    return (await session.scalars(page)).all()

"""Opens the pictures of a request for the person who answers it. Each view is recorded before the picture is read."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.errors import NotFound
from backend.identity.face.picture_refs import PortraitRef
from backend.identity.pictures.errors import PictureGone
from backend.identity.pictures.opening import OpenedPicture, open_picture, record_picture_view
from backend.identity.pictures.purposes import PicturePurpose
from backend.identity.pictures.refs import PictureRef
from backend.identity.pictures.tables import PictureView
from backend.identity.tables import Portrait
from backend.roll_call.looks.errors import LookPictureNotReady, LookPicturesNotSeen
from backend.roll_call.looks.queries import access_look, require_open
from backend.roll_call.tables import LookRequest, Submission, SubmissionFrame

PORTRAIT = "portrait"


async def read_look_picture(
    app_context: AppContext, actor: Actor, request_id: UUID, which: int | None, at: datetime
) -> OpenedPicture:
    """Return one picture of an open request: the frame at this position, or the portrait for None.

    Raises `NotFound` for a picture that is not part of the request, `LookPictureNotReady` and `PictureGone`.
    """
    async with app_context.database.transaction(actor.scope) as session:
        request, _ = await access_look(session, actor, request_id)
        await require_open(session, actor, request, at)
        picture = await (_portrait(session, request) if which is None else _frame(session, request, which))
        view = await record_picture_view(session, actor, picture, _purpose(request), at)
    return await open_picture(app_context, view)


def _purpose(request: LookRequest) -> PicturePurpose:
    is_review = request.reviews is not None
    return PicturePurpose.CHECK_IN_LOOK_REVIEW if is_review else PicturePurpose.CHECK_IN_LOOK


async def _portrait(session: AsyncSession, request: LookRequest) -> PictureRef:
    portrait = await session.get_one(Portrait, request.portrait_id)
    if portrait.picture_deleted_at is not None:
        raise PictureGone
    return PortraitRef.of(portrait).picture


async def _frame(session: AsyncSession, request: LookRequest, position: int) -> PictureRef:
    if position not in request.shown_frames:
        raise NotFound
    frame = await session.scalar(
        select(SubmissionFrame).where(
            SubmissionFrame.term_code == request.term_code,
            SubmissionFrame.school_id == request.school_id,
            SubmissionFrame.submission_id == request.submission_id,
            SubmissionFrame.position == position,
        )
    )
    if frame is None or frame.kept_sha256 == b"":
        raise PictureGone
    if frame.kept_sha256 is None:  # still the bytes that were uploaded
        raise LookPictureNotReady
    submission = await session.get_one(Submission, request.submission_id)
    return submission.frame(position)


async def require_pictures_seen(session: AsyncSession, actor: Actor, request: LookRequest) -> None:
    """Raise `LookPicturesNotSeen` unless the actor has opened every picture of the request, and the portrait."""
    rows = await session.execute(
        select(PictureView.source_id, PictureView.position).where(
            PictureView.student_id == request.student_id,
            PictureView.account_id == actor.account_id,
            PictureView.purpose == _purpose(request),
            PictureView.at >= request.at,
        )
    )
    seen = {(row.source_id, row.position) for row in rows}
    needed = {(request.submission_id, position) for position in request.shown_frames}
    if not seen >= needed | {(request.portrait_id, 0)}:
        raise LookPicturesNotSeen

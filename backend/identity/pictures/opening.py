"""The only way on which a picture of a face reaches a person: first the look is recorded, then the picture is opened.

`record_picture_view` runs in the transaction that checks whether the actor may see the picture. It returns a
`RecordedView`, which `open_picture` needs after the commit, so that no picture is read without a record, and no file is
read within a transaction. `OpenedPicture` is what an endpoint returns (`responses.picture_response`).
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.identity.pictures.errors import PictureGone
from backend.identity.pictures.keys import StoredPictureKey, load_stored_keys
from backend.identity.pictures.purposes import PicturePurpose
from backend.identity.pictures.recording import Viewed, ViewedKind, record_view
from backend.identity.pictures.refs import PictureRef
from backend.identity.pictures.store import get_picture


@dataclass(frozen=True, slots=True)
class RecordedView:
    """The proof that a look was recorded, with the student's picture key; only `record_picture_view` creates it."""

    picture: PictureRef
    key: StoredPictureKey | None


@dataclass(frozen=True, slots=True)
class OpenedPicture:
    """The bytes of a JPEG whose look was recorded."""

    picture: PictureRef
    data: bytes


async def record_picture_view(
    session: AsyncSession, actor: Actor, picture: PictureRef, purpose: PicturePurpose, at: datetime
) -> RecordedView:
    """Record that a member of the staff looks at a picture: a row for the student to read, and an audit entry.

    The caller has checked, in the same transaction, that the actor may see this picture.
    """
    viewed = Viewed(
        ViewedKind(picture.kind), picture.school_id, picture.student_id, picture.source_id, picture.position
    )
    record_view(session, actor, viewed, purpose, at)
    stored_keys = await load_stored_keys(session, [picture.student_id])
    return RecordedView(picture, stored_keys.get(picture.student_id))


async def open_picture(app_context: AppContext, view: RecordedView) -> OpenedPicture:
    """Read the picture of a recorded look, after the commit. Raises `PictureGone` and `PictureUnreadable`."""
    try:
        key = None if view.key is None else view.key.unwrap(app_context.keys)
        data = await get_picture(app_context, key, view.picture)
    except FileNotFoundError as error:
        raise PictureGone from error
    return OpenedPicture(view.picture, data)

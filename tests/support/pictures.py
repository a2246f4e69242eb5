"""Sealed pictures for tests: their keys, names and contents. A missing key is created, as an upload does."""

from collections.abc import Sequence

from backend.core.app_context import AppContext
from backend.core.tenancy import Scope
from backend.identity.pictures.keys import ensure_picture_key
from backend.identity.pictures.refs import PictureRef
from backend.identity.pictures.store import delete_pictures, get_picture, put_picture
from biometrics.templates.sealing import PictureKey


async def picture_key(app_context: AppContext, picture: PictureRef) -> PictureKey:
    """The key of the picture's student."""
    school_id, student_id = picture.school_id, picture.student_id
    async with app_context.database.transaction(Scope.school(school_id)) as session:
        return await ensure_picture_key(session, app_context.keys, school_id, student_id, app_context.clock())


async def name_picture(app_context: AppContext, picture: PictureRef) -> str:
    """The name of the sealed file."""
    return picture.evidence_key(await picture_key(app_context, picture))


async def seal_and_store(app_context: AppContext, picture: PictureRef, data: bytes) -> str:
    """Store a picture; returns the name of the sealed file."""
    key = await picture_key(app_context, picture)
    await put_picture(app_context, key, picture, data)
    return picture.evidence_key(key)


async def read_picture(app_context: AppContext, picture: PictureRef) -> bytes:
    """The picture in clear; raises FileNotFoundError."""
    return await get_picture(app_context, await picture_key(app_context, picture), picture)


async def remove_pictures(app_context: AppContext, pictures: Sequence[PictureRef]) -> None:
    """Delete the files of pictures of one student."""
    await delete_pictures(app_context, await picture_key(app_context, pictures[0]), pictures)


async def picture_exists(app_context: AppContext, picture: PictureRef) -> bool:
    """Whether the file exists."""
    try:
        return bool(await read_picture(app_context, picture))
    except FileNotFoundError:
        return False

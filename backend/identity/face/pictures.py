"""Uploaded face pictures: checked without decoding when they arrive, re-encoded after they are judged.

An upload is sealed under the student's picture key, byte for byte, once its container is checked (type, size,
dimensions, end of file). Decoding happens in the face processes of a worker, which a malicious picture can crash. After
the judgement the re-encoded pixels replace the upload, which removes metadata, position, thumbnails and trailing bytes.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from backend.core.app_context import AppContext
from backend.identity.pictures.refs import PictureRef
from backend.identity.pictures.store import delete_pictures, get_picture, put_picture
from biometrics.pictures.decoding import DecodeLimits, ImageTooSmall, Picture
from biometrics.pool import FacePool, FaceWorkerLost
from biometrics.templates.sealing import PictureKey, PictureUnreadable


def check_containers(pictures: Sequence[bytes], limits: DecodeLimits) -> None:
    """Check the containers of pictures; raises the errors of `biometrics.pictures.decoding` (codes `image_…`)."""
    for picture in pictures:
        Picture.open(picture, replace(limits, max_bytes=len(picture)))


def check_portrait(picture: bytes, limits: DecodeLimits, min_length: int) -> None:
    """Check the container of a portrait, and that it is large enough; raises as `check_containers`."""
    opened = Picture.open(picture, replace(limits, max_bytes=len(picture)))
    if max(opened.width, opened.height) < min_length:
        raise ImageTooSmall(limit=min_length)


async def store_pictures(
    app_context: AppContext, key: PictureKey, pictures: Sequence[PictureRef], files: Sequence[bytes]
) -> None:
    """Seal and store uploads."""
    await asyncio.gather(
        *(put_picture(app_context, key, picture, data) for picture, data in zip(pictures, files, strict=True))
    )


async def store_reencoded(
    app_context: AppContext, pool: FacePool, key: PictureKey | None, picture: PictureRef
) -> bytes | None:
    """Replace the upload by its re-encoded pixels and return them; deletes what is not a picture, and returns None.

    Idempotent: a second run re-encodes the same pixels.
    """
    try:
        reencoded = await pool.reencode(await get_picture(app_context, key, picture))
    except FileNotFoundError:
        return None
    except (FaceWorkerLost, PictureUnreadable):  # it crashed its workers, or was altered: it is worth nothing
        reencoded = None
    if reencoded is None or key is None:
        await delete_pictures(app_context, key, [picture])
        return None
    await put_picture(app_context, key, picture, reencoded)
    return reencoded

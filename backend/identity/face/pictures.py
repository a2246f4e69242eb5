"""Uploaded face pictures: checked without decoding when they arrive, re-encoded after they are judged.

An upload is stored unchanged once its container is checked (type, size, dimensions, end of file). Decoding happens in
the face processes of a worker, which a malicious picture can crash. After the judgement the re-encoded pixels replace the
upload, which removes metadata, position, thumbnails and trailing bytes.
"""

from collections.abc import Sequence
from dataclasses import replace

from backend.core.evidence import EvidenceStore
from biometrics.pictures.decoding import DecodeLimits, ImageTooSmall, Picture
from biometrics.pool import FacePool, FaceWorkerLost


def check_containers(pictures: Sequence[bytes], limits: DecodeLimits) -> None:
    """Check the containers of pictures; raises the errors of `biometrics.pictures.decoding` (codes `image_…`)."""
    for picture in pictures:
        Picture.open(picture, replace(limits, max_bytes=len(picture)))


def check_portrait(picture: bytes, limits: DecodeLimits, min_length: int) -> None:
    """Check the container of a portrait, and that it is large enough; raises as `check_containers`."""
    opened = Picture.open(picture, replace(limits, max_bytes=len(picture)))
    if max(opened.width, opened.height) < min_length:
        raise ImageTooSmall(limit=min_length)


async def store_reencoded(evidence: EvidenceStore, pool: FacePool, key: str) -> bytes | None:
    """Replace the upload by its re-encoded pixels and return them; deletes what is not a picture, and returns None.

    Idempotent: a second run re-encodes the same pixels.
    """
    try:
        reencoded = await pool.reencode(await evidence.get(key))
    except FileNotFoundError:
        return None
    except FaceWorkerLost:  # the picture crashed its workers, so it is worth nothing
        reencoded = None
    if reencoded is None:
        await evidence.delete([key])
        return None
    await evidence.put(key, reencoded)
    return reencoded

"""Uploaded pictures of faces: looked at from outside when they come, drawn anew once they are judged.

An upload is stored as it came, after its container was walked without any decoder (kind, size, pixels, end of the file).
Decoding happens in the workers' face processes, which may die of it. After the judgement a picture of the same pixels
takes the upload's place: metadata, position, thumbnails and bytes behind the picture are gone.
"""

from collections.abc import Sequence

from backend.core.evidence import EvidenceStore
from biometrics.pictures.decoding import DecodeLimits, Picture
from biometrics.pool import FacePool, FaceWorkerLost


def refuse_unsound(pictures: Sequence[bytes]) -> None:
    """Raise the refusals of `biometrics.pictures.decoding`, whose codes start with `image_`; the first speaks for all."""
    for picture in pictures:
        Picture.open(picture, DecodeLimits(max_bytes=len(picture)))


async def keep_redrawn(evidence: EvidenceStore, pool: FacePool, key: str) -> bytes | None:
    """Put a copy of the pixels in the place of the upload, and return it; what is no picture is deleted, None.

    Doing it twice only draws the copy again.
    """
    try:
        drawn = await pool.redraw(await evidence.get(key))
    except FileNotFoundError:
        return None
    except FaceWorkerLost:  # it killed its workers: nobody needs to look at it
        drawn = None
    if drawn is None:
        await evidence.delete([key])
        return None
    await evidence.put(key, drawn)
    return drawn

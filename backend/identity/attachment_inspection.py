"""Inspecting an uploaded file before it is stored: type detection by its first bytes, re-encoding of pictures.

The files belong to `people`, but only the layers from `identity` upwards may decode pictures.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from backend.people.attachment_errors import AttachmentTypeRefused, AttachmentUnreadable
from backend.people.attachment_files import FileContent
from biometrics.pictures.decoding import DecodeLimits, Picture, reencode

JPEG, PNG, PDF = "image/jpeg", "image/png", "application/pdf"
MEDIA_TYPES = (JPEG, PNG, PDF)
_MIN_SHORT_SIDE = 2000
"""Minimum short side in pixels of a scaled picture, so that small print stays legible."""
_PDF_TAIL_BYTES = 1024
"""How far from the end of a PDF readers look for the end marker (ISO 32000-1, annex H.3)."""
_JPEG_QUALITY = 88
_DECODERS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="picture")
"""Pictures of 25 megapixels take a lot of memory, so only two are decoded at a time."""


async def inspect_upload(data: bytes, declared: str | None) -> FileContent:
    """The content to store. Re-encoding removes EXIF, position and all other metadata from a picture.

    Raises `AttachmentTypeRefused` if the file is not a JPEG, PNG or PDF or not of the `declared` Content-Type,
    `AttachmentUnreadable` for a damaged PDF, and the errors of `biometrics.pictures.decoding` for a picture.
    """
    media_type = _detect_media_type(data)
    if media_type is None or (declared or "").partition(";")[0].strip().lower() != media_type:
        raise AttachmentTypeRefused
    if media_type == PDF:
        if b"%%EOF" not in data[-_PDF_TAIL_BYTES:]:
            raise AttachmentUnreadable
        return FileContent(PDF, data)
    return FileContent(
        JPEG, await asyncio.get_running_loop().run_in_executor(_DECODERS, _reencode_jpeg, data)
    )


def _reencode_jpeg(data: bytes) -> bytes:
    return reencode(Picture.open(data, DecodeLimits(max_bytes=len(data))), _MIN_SHORT_SIDE, _JPEG_QUALITY)


def _detect_media_type(data: bytes) -> str | None:
    if data.startswith(b"\xff\xd8\xff"):
        return JPEG
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    return PDF if data.startswith(b"%PDF-") else None

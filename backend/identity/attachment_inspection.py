"""Looking into an uploaded file before it is kept: its kind by its first bytes, pictures drawn anew from their pixels.

It lives here because only this floor and those above may decode pictures; the files belong to `people`.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from backend.people.attachment_errors import AttachmentTypeRefused, AttachmentUnreadable
from backend.people.attachments import Content
from biometrics.pictures.decoding import DecodeLimits, Picture, reencode

JPEG, PNG, PDF = "image/jpeg", "image/png", "application/pdf"
MEDIA_TYPES = (JPEG, PNG, PDF)
_LEGIBLE_SIDE = 2000
"""Pixels of the short side that a scaled picture keeps at least: small print stays legible."""
_PDF_TAIL = 1024
"""Bytes at the end of a PDF in which readers look for its end (ISO 32000-1, annex H.3)."""
_QUALITY = 88
_DECODERS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="picture")
"""Pictures of 25 megapixels take a lot of memory: a rush of uploads waits instead of filling it."""


async def looked_into(data: bytes, declared: str | None) -> Content:
    """The file as it is kept. EXIF, position and whatever else is not pixels are gone from a picture.

    Raises `AttachmentTypeRefused` if it is no JPEG, PNG or PDF or not what `declared` (a Content-Type) calls it,
    `AttachmentUnreadable` for a PDF, and the refusals of `biometrics.pictures.decoding` for a picture.
    """
    kind = _kind(data)
    if kind is None or (declared or "").partition(";")[0].strip().lower() != kind:
        raise AttachmentTypeRefused
    if kind == PDF:
        if b"%%EOF" not in data[-_PDF_TAIL:]:
            raise AttachmentUnreadable
        return Content(PDF, data)
    return Content(JPEG, await asyncio.get_running_loop().run_in_executor(_DECODERS, _redrawn, data))


def _redrawn(data: bytes) -> bytes:
    return reencode(Picture.open(data, DecodeLimits(max_bytes=len(data))), _LEGIBLE_SIDE, _QUALITY)


def _kind(data: bytes) -> str | None:
    if data.startswith(b"\xff\xd8\xff"):
        return JPEG
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    return PDF if data.startswith(b"%PDF-") else None

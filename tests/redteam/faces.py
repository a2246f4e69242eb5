"""Copies of pictures, and the verdict of an enrolment, for the attacks on faces."""

import io

from PIL import Image

from backend.identity.tables import FaceEnrolment
from tests.support.biometrics.pictures import encode_picture


def reencode(picture: bytes, quality: int = 85) -> bytes:
    """The same pixels, nearly, in another file."""
    return encode_picture(Image.open(io.BytesIO(picture)).convert("RGB"), "JPEG", quality=quality)


def copies(picture: bytes) -> list[bytes]:
    """Three different files of the same pixels."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    return [picture, encode_picture(image, "PNG"), encode_picture(image, "WEBP", lossless=True)]


def verdict_of(enrolment: FaceEnrolment, shot: int | None = None) -> str:
    """`accepted`, or the first reason for the refusal, optionally of one shot."""
    if enrolment.status == "accepted":
        return "accepted"
    reasons = [each["code"] for each in enrolment.reasons if shot is None or each["shot"] == shot]
    return f"refused: {reasons[0]}"

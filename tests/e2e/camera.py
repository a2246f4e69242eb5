"""The camera of the browser under test: a picture that the test can change while the page films.

Chromium plays a film from a file in place of a camera. It maps the file into memory, so bytes that are written into the file
appear in the next frames. The film has two frames of the same size in bytes; the test writes both. So a face can act
after the page has shown what to do, as a person does.
"""

import io
from pathlib import Path

from PIL import Image, ImageOps

PICTURE = (480, 640)
"""Width and height of the camera's picture: a phone held upright."""
SLOT_BYTES = 256 * 1024
"""Bytes of one frame in the file. Pictures are filled up to this size with comment segments, which decoders skip."""
SLOTS = 2
_MAX_COMMENT = 65_533
_START, _COMMENT = b"\xff\xd8", b"\xff\xfe"
_LENGTH_BYTES = 2
_SMALLEST_COMMENT = len(_COMMENT) + _LENGTH_BYTES


class FakeCamera:
    """The film file of one browser. Give `path` to Chromium when it starts. All pictures have the size of `PICTURE`."""

    def __init__(self, path: Path, first: bytes) -> None:
        self.path = path
        path.write_bytes(fill_up(film_frame(first)) * SLOTS)

    def show(self, picture: bytes) -> None:
        """Show another picture from the next frame on."""
        slot = fill_up(film_frame(picture))
        with self.path.open("r+b") as film:
            for number in range(SLOTS):
                film.seek(number * SLOT_BYTES)
                film.write(slot)
                film.flush()


def film_frame(picture: bytes) -> bytes:
    """The picture as a frame of the film, scaled to fit the camera's size.

    Chromium reads the brightness of a film as 16 to 235, as video has it, so the frame's is reduced to that range.
    """
    buffer = io.BytesIO()
    _fit(picture).point([round(16 + value * 219 / 255) for value in range(256)] * 3).save(
        buffer, "JPEG", quality=95, subsampling="4:2:0"
    )
    return buffer.getvalue()


def fit_picture(picture: bytes) -> bytes:
    """The picture as the camera sees it."""
    buffer = io.BytesIO()
    _fit(picture).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def _fit(picture: bytes) -> Image.Image:
    with Image.open(io.BytesIO(picture)) as opened:
        return ImageOps.pad(opened.convert("RGB"), PICTURE, color=(120, 128, 130))


def fill_up(picture: bytes) -> bytes:
    """The same JPEG with `SLOT_BYTES` bytes."""
    assert picture.startswith(_START)
    missing = SLOT_BYTES - len(picture)
    assert missing == 0 or missing >= _SMALLEST_COMMENT, "the picture is too large for a slot"
    parts = []
    while missing:
        length = min(missing - len(_COMMENT), _MAX_COMMENT + _LENGTH_BYTES)
        if 0 < missing - len(_COMMENT) - length < _SMALLEST_COMMENT:
            length -= _SMALLEST_COMMENT
        parts.append(_COMMENT + length.to_bytes(2) + bytes(length - _LENGTH_BYTES))
        missing -= len(_COMMENT) + length
    return _START + b"".join(parts) + picture[len(_START) :]


def plain_picture(colour: tuple[int, int, int]) -> bytes:
    """A JPEG of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", PICTURE, colour).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()

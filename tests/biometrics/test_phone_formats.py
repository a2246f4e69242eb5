"""The formats of new phones: HEIC, pictures with further pictures (MPO), motion photos. The primary picture is read."""

import io
import struct
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps

from biometrics.engines.base import EngineSet
from biometrics.errors import BiometricsError
from biometrics.pictures.containers import ImageKind
from biometrics.pictures.decoding import DecodeLimits, Picture
from biometrics.tasks import FaceRules, Shot, enrol_shots
from tests.support.biometrics.hostile_pictures import heic_picture
from tests.support.biometrics.pictures import encode_picture, noise_picture

JPEG = encode_picture(noise_picture(), "JPEG")
OTHER = encode_picture(noise_picture(seed=1), "JPEG")
ZIP = b"PK\x03\x04 and a zip archive"


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


VIDEO = box(b"ftyp", b"isom\0\0\0\0") + box(b"moov", bytes(40)) + box(b"mdat", bytes(900))


def error_code(data: bytes) -> str | None:
    try:
        Picture.open(data, DecodeLimits()).rgb()
    except BiometricsError as error:
        return error.code
    return None


def with_segment(marker: bytes, body: bytes) -> bytes:
    """The JPEG with one more segment behind its start."""
    return JPEG[:2] + marker + struct.pack(">H", 2 + len(body)) + body + JPEG[2:]


def with_xmp(properties: str) -> bytes:
    return with_segment(
        b"\xff\xe1", b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta " + properties.encode() + b"/>"
    )


def samsung(*blocks: tuple[int, bytes, bytes], marker: bytes = b"SEFH") -> bytes:
    """Samsung's trailer with blocks of a type, a name and content."""
    stored = [struct.pack("<HHI", 0, kind, len(name)) + name + body for kind, name, body in blocks]
    behind = [sum(map(len, stored[number:])) for number in range(len(stored))]
    entries = b"".join(
        struct.pack("<HHII", 0, kind, offset, len(block))
        for (kind, _, _), offset, block in zip(blocks, behind, stored, strict=True)
    )
    directory = marker + struct.pack("<II", 106, len(blocks)) + entries
    return b"".join(stored) + directory + struct.pack("<I", len(directory)) + b"SEFT"


MPO = encode_picture(noise_picture(), "MPO", save_all=True, append_images=[noise_picture(seed=1)])
MOTION = with_xmp(
    'Item:Semantic="Primary" Item:Length="0" Item:Semantic="GainMap" '
    f'Item:Length="{len(OTHER)}" Item:Semantic="MotionPhoto" Item:Length="{len(VIDEO)}"'
)
MICRO = with_xmp(f'GCamera:MicroVideo="1" GCamera:MicroVideoOffset="{len(VIDEO)}"')
ELEMENTS = with_xmp(f"><GCamera:MicroVideoOffset>{len(VIDEO)}</GCamera:MicroVideoOffset><a")

ACCEPTED = {
    "MPO": MPO,
    "MPO and padding": MPO + bytes(64),
    "motion photo with a gain map": MOTION + OTHER + VIDEO,
    "MicroVideo": MICRO + VIDEO,
    "MicroVideo that was removed": MICRO,
    "MicroVideo in elements": ELEMENTS + VIDEO,
    "Samsung without a video": JPEG + samsung((0x0A01, b"Image_UTC_Data", b"1731899000000")),
    "Samsung motion photo": JPEG
    + samsung((0x0A01, b"Image_UTC_Data", b"1731899000000"), (0x0A30, b"MotionPhoto_Data", VIDEO)),
    "Huawei live photo": JPEG + VIDEO + b"v2_f20              1200:1500           LIVE_1023           ",
}
REFUSED = {
    "a zip": JPEG + ZIP,
    "an undeclared picture": JPEG + OTHER,
    "an undeclared video": JPEG + VIDEO,
    "a zip behind an MPO": MPO + ZIP,
    "a zip instead of the video": MICRO + ZIP.ljust(len(VIDEO), b"."),
    "a zip between picture and video": MICRO + ZIP + VIDEO,
    "half of the video": MICRO + VIDEO[:500],
    "a zip behind Samsung's trailer": JPEG + samsung((0x0A01, b"Image_UTC_Data", b"1")) + ZIP,
    "a zip before Samsung's trailer": JPEG + ZIP + samsung((0x0A01, b"Image_UTC_Data", b"1")),
    "Samsung's trailer with a wrong directory": JPEG + samsung((0x0A01, b"x", b"1"), marker=b"SEFX"),
    "a zip with Huawei's mark": JPEG + ZIP + b"LIVE_1023           ",
}


@pytest.mark.parametrize("data", ACCEPTED.values(), ids=ACCEPTED)
def test_data_that_the_format_defines_may_follow(data: bytes) -> None:
    picture = Picture.open(data, DecodeLimits())
    assert picture.kind is ImageKind.JPEG
    assert np.array_equal(picture.rgb().pixels, Picture.open(JPEG, DecodeLimits()).rgb().pixels) or data[
        :200
    ].startswith(MPO[:200])


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_other_data_behind_a_picture_are_refused(data: bytes) -> None:
    assert error_code(data) == "image_trailing_data"


def test_primary_picture_of_an_mpo_is_read() -> None:
    pixels = Picture.open(MPO, DecodeLimits()).rgb().pixels.astype(int)
    assert np.abs(pixels - np.asarray(noise_picture())).mean() < 12


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_heic_is_decoded_upright(orientation: int) -> None:
    image = noise_picture(64, 48)
    image.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(image))
    picture = Picture.open(heic_picture(image, quality=90), DecodeLimits())
    assert (picture.kind, picture.height, picture.width) == (ImageKind.HEIF, *upright.shape[:2])
    assert np.abs(picture.rgb().pixels.astype(int) - upright).mean() < 4


def test_primary_picture_of_a_heic_is_read() -> None:
    file = pillow_heif.from_pillow(noise_picture(64, 48))
    file.add_from_pillow(noise_picture(128, 128, seed=1))
    target = io.BytesIO()
    file.save(target, primary_index=1)
    picture = Picture.open(target.getvalue(), DecodeLimits())
    assert picture.rgb().pixels.shape == (128, 128, 3)
    target = io.BytesIO()
    file.save(target, primary_index=0)
    assert Picture.open(target.getvalue(), DecodeLimits()).rgb().pixels.shape == (48, 64, 3)


def test_large_heic_is_reduced() -> None:
    picture = Picture.open(
        heic_picture(Image.new("RGB", (3000, 4000)), enc_params={"preset": "ultrafast"}), DecodeLimits()
    )
    assert picture.grey(360).pixels.shape == (500, 375)
    assert picture.rgb(700).pixels.shape == (1000, 750, 3)
    assert picture.rgb(700).factor == 4


def test_motion_photo_in_a_heic_is_accepted_and_a_zip_is_not() -> None:
    heic = heic_picture(noise_picture())
    assert error_code(heic + box(b"mpvd", VIDEO)) is None
    assert error_code(heic + ZIP) == "image_truncated"  # its first bytes would be the length of a box
    assert error_code(heic + b"%PDF") == "image_trailing_data"


def test_heic_bomb_is_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    heic = bytearray(heic_picture(noise_picture()))
    at = heic.index(b"ispe") + 8
    heic[at : at + 8] = struct.pack(">II", 60_000, 60_000)
    monkeypatch.setattr(pillow_heif, "open_heif", lambda *_: pytest.fail("the decoder was reached"))
    assert error_code(bytes(heic)) == "image_too_large"


def test_damaged_heic_is_refused_with_a_code() -> None:
    heic = heic_picture(noise_picture())
    assert error_code(heic[:-20]) == "image_truncated"
    assert error_code(heic.replace(b"pitm", b"pitx")) == "image_truncated"
    damaged = heic[: heic.index(b"mdat") + 8]
    assert error_code(damaged + bytes(len(heic) - len(damaged))) == "image_broken"


def test_avif_is_refused_by_name() -> None:
    assert error_code(b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + bytes(100)) == "image_unsupported"


def test_shots_in_heic_and_with_a_motion_photo_enrol_a_face(
    both_engines: EngineSet, people: dict[str, tuple[Path, ...]], rules: FaceRules
) -> None:
    first, second, third = (Image.open(path).convert("RGB") for path in (people["obama"] * 3)[:3])
    jpeg = encode_picture(second, "JPEG", quality=90)
    motion = jpeg + samsung((0x0A30, b"MotionPhoto_Data", VIDEO))
    mpo = encode_picture(third, "MPO", save_all=True, append_images=[noise_picture()], quality=90)
    shots = [Shot(heic_picture(first, quality=90)), Shot(motion), Shot(mpo)]
    result = enrol_shots(both_engines, shots, rules)
    assert [report.reasons for report in result.shots] == [(), (), ()]
    assert result.template is not None

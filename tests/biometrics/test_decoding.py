import io
import struct
import zlib

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageFile, ImageOps

from biometrics.errors import BiometricsError
from biometrics.pictures.containers import ImageKind
from biometrics.pictures.decoding import DecodeLimits, Picture, Pixels, reencode
from tests.support.biometrics.pictures import encode_picture, noise_picture

LIMITS = DecodeLimits(max_bytes=200_000, max_pixels=1_000_000)
KINDS = ("JPEG", "PNG", "WEBP")


def decode(data: bytes, limits: DecodeLimits = LIMITS) -> Pixels:
    return Picture.open(data, limits).rgb().pixels


def error_code(data: bytes, limits: DecodeLimits = LIMITS) -> str:
    with pytest.raises(BiometricsError) as caught:
        decode(data, limits)
    assert caught.value.zh
    assert caught.value.en
    return caught.value.code


@pytest.mark.parametrize("kind", KINDS)
def test_still_picture_is_decoded_to_rgb(kind: str) -> None:
    picture = Picture.open(encode_picture(noise_picture(), kind), LIMITS)
    assert picture.kind is ImageKind(kind)
    assert picture.rgb().pixels.shape == (48, 64, 3)
    assert picture.grey().pixels.shape == (48, 64)
    assert picture.rgb().pixels.dtype == np.uint8


def test_png_pixels_are_unchanged() -> None:
    assert np.array_equal(decode(encode_picture(noise_picture(), "PNG")), np.asarray(noise_picture()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_truncated_picture_is_rejected(kind: str, share: float) -> None:
    data = encode_picture(noise_picture(), kind)
    assert error_code(data[: int(len(data) * share)]) in {"image_truncated", "image_broken"}


def test_truncated_picture_is_rejected_if_a_library_allows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = encode_picture(noise_picture(), "PNG")
    ihdr_end, idat_length = 33, struct.unpack(">I", encode_picture(noise_picture(), "PNG")[33:37])[0]
    body = data[ihdr_end + 8 : ihdr_end + 8 + idat_length // 2]
    chunk = struct.pack(">I", len(body)) + b"IDAT" + body + struct.pack(">I", zlib.crc32(b"IDAT" + body))
    assert error_code(data[:ihdr_end] + chunk + data[-12:]) == "image_broken"


@pytest.mark.parametrize("kind", KINDS)
def test_polyglot_is_rejected(kind: str) -> None:
    assert (
        error_code(encode_picture(noise_picture(), kind) + b"PK\x03\x04 and a zip archive")
        == "image_trailing_data"
    )


def test_zero_padding_after_a_jpeg_is_accepted() -> None:
    assert decode(encode_picture(noise_picture(), "JPEG") + bytes(100)).shape == (48, 64, 3)


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a" + bytes(50), b"%PDF-1.7", b"BM" + bytes(80), b"RIFF\x00\x00\x00\x00WAVE"]
)
def test_other_formats_are_rejected_by_their_first_bytes(data: bytes) -> None:
    assert error_code(data) == "image_unsupported"


def test_wrong_format_after_a_valid_signature_is_rejected() -> None:
    assert error_code(b"\x89PNG\r\n\x1a\n" + encode_picture(noise_picture(), "JPEG")) == "image_truncated"


def test_too_many_bytes_are_rejected() -> None:
    assert error_code(bytes(LIMITS.max_bytes + 1)) == "image_too_large"


def png_claiming(width: int, height: int) -> bytes:
    ihdr = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", ihdr), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def webp_claiming(width: int, height: int) -> bytes:
    extended = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", len(extended)) + extended
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg_claiming(width: int, height: int) -> bytes:
    data = encode_picture(noise_picture(), "JPEG")
    sof = data.index(b"\xff\xc0")
    return data[: sof + 5] + struct.pack(">HH", height, width) + data[sof + 9 :]


@pytest.mark.parametrize(
    "bomb", [png_claiming(60_000, 60_000), webp_claiming(16_000, 16_000), jpeg_claiming(65_000, 65_000)]
)
def test_decompression_bomb_is_rejected_before_decoding(bomb: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    reached = lambda *_, **__: pytest.fail("the decoder was reached")  # noqa: E731 - a stand-in for two functions
    monkeypatch.setattr(Image, "open", reached)
    monkeypatch.setattr(simplejpeg, "decode_jpeg", reached)
    assert error_code(bomb) == "image_too_large"


def test_tiny_picture_is_rejected() -> None:
    assert error_code(encode_picture(noise_picture(16, 16), "PNG")) == "image_too_small"


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animation_is_rejected(kind: str) -> None:
    data = encode_picture(
        noise_picture(), kind, save_all=True, append_images=[noise_picture(seed=1), noise_picture(seed=2)]
    )
    assert error_code(data) == "image_animated"


def test_cmyk_is_rejected() -> None:
    assert error_code(encode_picture(noise_picture().convert("CMYK"), "JPEG")) == "image_colour_unsupported"


def test_sixteen_bit_grey_is_rejected() -> None:
    deep = Image.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64))
    assert error_code(encode_picture(deep, "PNG")) == "image_colour_unsupported"


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1"])
def test_common_colour_modes_are_converted_to_rgb(mode: str) -> None:
    assert decode(encode_picture(noise_picture().convert(mode), "PNG")).shape == (48, 64, 3)


def test_jpeg_with_too_many_scans_is_rejected() -> None:
    data = encode_picture(noise_picture(), "JPEG")
    sos = data.index(b"\xff\xda")
    scan = data[sos:-2]
    assert error_code(data[:sos] + scan * 65 + data[-2:]) == "image_truncated"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode_picture(noise_picture(), kind, exif=exif, quality=95)
    with Image.open(io.BytesIO(data)) as image:
        upright = np.asarray(ImageOps.exif_transpose(image).convert("RGB")).astype(int)
    picture = Picture.open(data, LIMITS)
    assert picture.rgb().pixels.shape == upright.shape == (picture.height, picture.width, 3)
    assert np.abs(picture.rgb().pixels - upright).mean() < 12


def test_broken_exif_is_ignored() -> None:
    data = encode_picture(noise_picture(), "JPEG")
    absurd = b"Exif\x00\x00MM\x00*\xff\xff\xff\xff" + bytes(range(200))
    segment = b"\xff\xe1" + struct.pack(">H", len(absurd) + 2) + absurd
    assert decode(data[:2] + segment + data[2:]).shape == (48, 64, 3)


def test_large_jpeg_is_decoded_at_reduced_size() -> None:
    picture = Picture.open(encode_picture(noise_picture(1600, 1920), "JPEG"), DecodeLimits())
    assert (picture.width, picture.height) == (1600, 1920)
    assert picture.rgb(400).pixels.shape == (480, 400, 3)
    assert picture.rgb(401).pixels.shape == (960, 800, 3)
    assert picture.grey(10).factor == picture.rgb(10).factor == 4


def test_reencoding_keeps_only_the_pixels() -> None:
    exif = Image.Exif()
    exif[0x010E] = "a secret description"
    picture = Picture.open(encode_picture(noise_picture(), "JPEG", exif=exif, quality=95), LIMITS)
    stored = reencode(picture)
    assert b"secret" not in stored
    assert np.abs(decode(stored).astype(int) - picture.rgb().pixels).mean() < 12

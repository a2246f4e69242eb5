"""What hostile bytes may do to the decoder: be refused with a code, or be decoded. Nothing else."""

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from biometrics.errors import BiometricsError
from tests.support.biometrics.hostile_pictures import (
    LIMITS,
    PNG_SIGNATURE,
    chunk,
    head_of,
    largest_allowed,
    outcome,
    parts_of,
    seeds,
    whole,
)
from tests.support.biometrics.pictures import encoded, noise

pytestmark = pytest.mark.xdist_group("hostile")  # thousands of pictures take seconds: one process reads them

ROOT = Path(__file__).parents[2]
INPUTS = 5_000
MOST_GROWN_MIB, MOST_HELD_MIB, MOST_AT_ONCE_MIB = 64, 32, 400

JPEG, PNG, WEBP = (
    encoded(noise(), "JPEG"),
    encoded(noise(), "PNG"),
    encoded(noise(), "WEBP", exif=b"Exif\0\0MM\0*"),
)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one process says that decoded them all; a crash or an unforeseen error fails here."""
    folder = tmp_path_factory.mktemp("largest")
    for name, data in largest_allowed().items():
        (folder / name).write_bytes(data)
    files = [str(file) for file in sorted(folder.iterdir())]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.support.biometrics.hostile_pictures", str(INPUTS), *files],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_thousands_of_hostile_pictures_are_decoded_or_refused_with_a_code(told: dict[str, Any]) -> None:
    outcomes = [(code, count) for codes in told["outcomes"].values() for code, count in codes.items()]
    assert sum(count for _, count in outcomes) == INPUTS
    assert all(code == "decoded" or code.startswith("image_") for code, _ in outcomes)


def test_every_kind_of_mutation_reaches_more_than_one_end(told: dict[str, Any]) -> None:
    assert all(len(codes) >= 3 for codes in told["outcomes"].values())
    assert sum(codes.get("decoded", 0) for codes in told["outcomes"].values()) > INPUTS / 20


def test_hostile_pictures_leave_memory_bounded(told: dict[str, Any]) -> None:
    assert told["grown_mib"] < MOST_GROWN_MIB


def test_the_largest_pictures_allowed_are_kept_small_and_cost_bounded_memory(told: dict[str, Any]) -> None:
    assert 1 < max(told["held_mib"]) < MOST_HELD_MIB
    assert told["at_most_mib"] < MOST_AT_ONCE_MIB


def test_hostile_pictures_cost_no_time(told: dict[str, Any]) -> None:
    assert told["cpu_s"] < 20


def with_part(data: bytes, at: int, part: bytes) -> bytes:
    parts = parts_of(data)
    return whole(data, [*parts[:at], part, *parts[at:]])


def without(data: bytes, at: int) -> bytes:
    parts = parts_of(data)
    return whole(data, parts[:at] + parts[at + 1 :])


def swapped(data: bytes, one: int, other: int) -> bytes:
    parts = parts_of(data)
    parts[one], parts[other] = parts[other], parts[one]
    return whole(data, parts)


def png_head(**changes: int) -> bytes:
    said = {"width": 64, "height": 48, "depth": 8, "colour": 2} | changes
    head = struct.pack(">IIBBBBB", said["width"], said["height"], said["depth"], said["colour"], 0, 0, 0)
    return whole(PNG, [chunk(b"IHDR", head), *parts_of(PNG)[1:]])


def jpeg_sides(width: int, height: int) -> bytes:
    at = JPEG.index(b"\xff\xc0")
    return JPEG[: at + 5] + struct.pack(">HH", height, width) + JPEG[at + 9 :]


CASES = {
    "nothing": (b"", "image_unsupported"),
    "a GIF": (encoded(noise(), "GIF"), "image_unsupported"),
    "a TIFF": (encoded(noise(), "TIFF"), "image_unsupported"),
    "too many bytes": (JPEG + bytes(LIMITS.max_bytes), "image_too_large"),
    "a JPEG cut off": (JPEG[:-20], "image_truncated"),
    "a PNG cut off": (PNG[:-20], "image_truncated"),
    "a WebP cut off": (WEBP[:-20], "image_truncated"),
    "a JPEG's head alone": (head_of(JPEG) + b"\xff", "image_truncated"),
    "a JPEG segment of length 0": (with_part(JPEG, 1, b"\xff\xe5\x00\x00"), "image_truncated"),
    "a JPEG segment beyond the end": (with_part(JPEG, 1, b"\xff\xe5\xff\xff"), "image_truncated"),
    "a PNG chunk beyond the end": (with_part(PNG, 1, b"\x7f\xff\xff\xfftEXt"), "image_truncated"),
    "a WebP longer than its file": (WEBP[:4] + b"\xff\xff\xff\x7f" + WEBP[8:], "image_truncated"),
    "a WebP shorter than its file": (
        WEBP[:4] + struct.pack("<I", len(WEBP) - 20) + WEBP[8:],
        "image_trailing_data",
    ),
    "a PNG with a wrong check sum over its pixels": (PNG[:-16] + b"1234" + PNG[-12:], "decoded"),
    "a PNG without pixels": (without(PNG, 1), "image_broken"),
    "a PNG that begins with its pixels": (swapped(PNG, 0, 1), "image_truncated"),
    "a PNG with two heads": (with_part(PNG, 1, parts_of(png_head(width=80))[0]), "image_broken"),
    "a JPEG with two frames": (with_part(JPEG, 3, parts_of(JPEG)[3]), "image_truncated"),
    "a JPEG without tables": (without(JPEG, 1), "image_broken"),
    "a JPEG of many scans": (JPEG[:-2] + parts_of(JPEG)[-1][:-2] * 70 + JPEG[-2:], "image_truncated"),
    "a WebP without pixels": (without(WEBP, 1), "image_broken"),
    "a PNG of 3.6 gigapixels": (png_head(width=60_000, height=60_000), "image_too_large"),
    "a JPEG of 4.2 gigapixels": (jpeg_sides(65_000, 65_000), "image_too_large"),
    "a PNG of width 0": (png_head(width=0), "image_too_small"),
    "a JPEG of height 0": (jpeg_sides(64, 0), "image_too_small"),
    "a PNG with fewer rows than it says": (png_head(height=480), "decoded"),
    "a PNG of depth 16": (png_head(depth=16), "image_colour_unsupported"),
    "a PNG of no known colour type": (png_head(colour=5), "image_colour_unsupported"),
    "a CMYK JPEG": (encoded(noise().convert("CMYK"), "JPEG"), "image_colour_unsupported"),
    "an animated PNG": (
        encoded(noise(), "PNG", save_all=True, append_images=[noise(seed=1)]),
        "image_animated",
    ),
    "an animated WebP": (
        encoded(noise(), "WEBP", save_all=True, append_images=[noise(seed=1)]),
        "image_animated",
    ),
    "a JPEG and a zip": (JPEG + b"PK\x03\x04", "image_trailing_data"),
    "a JPEG and a JPEG": (JPEG + JPEG, "image_trailing_data"),
    "a PNG and a page": (PNG + b"<html>", "image_trailing_data"),
    "a WebP and a PDF": (WEBP + b"%PDF-1.7", "image_trailing_data"),
    "a page before a PNG": (b"<html>" + PNG, "image_unsupported"),
    "a PNG's signature before a JPEG": (PNG_SIGNATURE + JPEG, "image_truncated"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_picture_comes_to_its_end(name: str) -> None:
    data, code = CASES[name]
    assert outcome(data) == code


def exif(kind: str, body: bytes) -> bytes:
    return encoded(noise(), kind, exif=b"Exif\0\0" + body)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no TIFF at all",
        b"MM\0*\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\xff\xff",
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\xff\xff\x06\0\0\0",
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\xff\xff\0\0\x08\0\0\0",
        b"MM\0*\0\0\0\x08\0\x01\x87\x69\0\x04\0\0\0\x01\0\0\0\x08\0\0\0\x08",
    ],
)
def test_absurd_exif_says_nothing_against_a_picture(kind: str, body: bytes) -> None:
    assert outcome(exif(kind, body)) == "decoded"


def test_every_seed_of_the_corpus_is_what_it_is_meant_to_be() -> None:
    assert {outcome(seed) for seed in seeds()} == {"decoded", "image_animated", "image_colour_unsupported"}
    assert [outcome(seed) for seed in seeds()].count("decoded") >= 11


def test_a_refusal_speaks_both_languages() -> None:
    for refusal in BiometricsError.__subclasses__():
        assert refusal.zh != refusal.en
    assert Image.MAX_IMAGE_PIXELS is not None

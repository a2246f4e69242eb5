"""Hostile bytes are either decoded or rejected with a code. Nothing else may happen."""

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
    assemble,
    header_of,
    largest_allowed,
    outcome,
    png_chunk,
    seed_pictures,
    split_parts,
)
from tests.support.biometrics.pictures import encode_picture, noise_picture

# Thousands of pictures take seconds: one process decodes them.
pytestmark = pytest.mark.xdist_group("hostile")

ROOT = Path(__file__).parents[2]
INPUTS = 5_000
MAX_GROWN_MIB, MAX_CACHED_MIB, MAX_PEAK_MIB = 64, 32, 400

JPEG, PNG, WEBP = (
    encode_picture(noise_picture(), "JPEG"),
    encode_picture(noise_picture(), "PNG"),
    encode_picture(noise_picture(), "WEBP", exif=b"Exif\0\0MM\0*"),
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report of one process that decodes all pictures. A crash or an unexpected error fails here."""
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


def test_hostile_pictures_are_decoded_or_rejected_with_a_code(report: dict[str, Any]) -> None:
    outcomes = [(code, count) for codes in report["outcomes"].values() for code, count in codes.items()]
    assert sum(count for _, count in outcomes) == INPUTS
    assert all(code == "decoded" or code.startswith("image_") for code, _ in outcomes)


def test_every_mutation_has_several_outcomes(report: dict[str, Any]) -> None:
    assert all(len(codes) >= 3 for codes in report["outcomes"].values())
    assert sum(codes.get("decoded", 0) for codes in report["outcomes"].values()) > INPUTS / 20


def test_hostile_pictures_need_bounded_memory(report: dict[str, Any]) -> None:
    assert report["grown_mib"] < MAX_GROWN_MIB


def test_largest_allowed_pictures_need_bounded_memory(report: dict[str, Any]) -> None:
    assert 1 < max(report["cached_mib"]) < MAX_CACHED_MIB
    assert report["peak_mib"] < MAX_PEAK_MIB


def test_hostile_pictures_need_little_cpu_time(report: dict[str, Any]) -> None:
    assert report["cpu_s"] < 20


def insert_part(data: bytes, at: int, part: bytes) -> bytes:
    parts = split_parts(data)
    return assemble(data, [*parts[:at], part, *parts[at:]])


def remove_part(data: bytes, at: int) -> bytes:
    parts = split_parts(data)
    return assemble(data, parts[:at] + parts[at + 1 :])


def swap_parts(data: bytes, one: int, other: int) -> bytes:
    parts = split_parts(data)
    parts[one], parts[other] = parts[other], parts[one]
    return assemble(data, parts)


def png_with_header(**changes: int) -> bytes:
    fields = {"width": 64, "height": 48, "depth": 8, "colour": 2} | changes
    header = struct.pack(
        ">IIBBBBB", fields["width"], fields["height"], fields["depth"], fields["colour"], 0, 0, 0
    )
    return assemble(PNG, [png_chunk(b"IHDR", header), *split_parts(PNG)[1:]])


def jpeg_with_size(width: int, height: int) -> bytes:
    at = JPEG.index(b"\xff\xc0")
    return JPEG[: at + 5] + struct.pack(">HH", height, width) + JPEG[at + 9 :]


CASES = {
    "no bytes": (b"", "image_unsupported"),
    "a GIF": (encode_picture(noise_picture(), "GIF"), "image_unsupported"),
    "a TIFF": (encode_picture(noise_picture(), "TIFF"), "image_unsupported"),
    "too many bytes": (JPEG + bytes(LIMITS.max_bytes), "image_too_large"),
    "a truncated JPEG": (JPEG[:-20], "image_truncated"),
    "a truncated PNG": (PNG[:-20], "image_truncated"),
    "a truncated WebP": (WEBP[:-20], "image_truncated"),
    "only the header of a JPEG": (header_of(JPEG) + b"\xff", "image_truncated"),
    "a JPEG segment of length 0": (insert_part(JPEG, 1, b"\xff\xe5\x00\x00"), "image_truncated"),
    "a JPEG segment beyond the end": (insert_part(JPEG, 1, b"\xff\xe5\xff\xff"), "image_truncated"),
    "a PNG chunk beyond the end": (insert_part(PNG, 1, b"\x7f\xff\xff\xfftEXt"), "image_truncated"),
    "a WebP longer than its file": (WEBP[:4] + b"\xff\xff\xff\x7f" + WEBP[8:], "image_truncated"),
    "a WebP shorter than its file": (
        WEBP[:4] + struct.pack("<I", len(WEBP) - 20) + WEBP[8:],
        "image_trailing_data",
    ),
    "a PNG with a wrong checksum of its pixels": (PNG[:-16] + b"1234" + PNG[-12:], "decoded"),
    "a PNG without pixels": (remove_part(PNG, 1), "image_broken"),
    "a PNG that starts with its pixels": (swap_parts(PNG, 0, 1), "image_truncated"),
    "a PNG with two headers": (
        insert_part(PNG, 1, split_parts(png_with_header(width=80))[0]),
        "image_broken",
    ),
    "a JPEG with two frames": (insert_part(JPEG, 3, split_parts(JPEG)[3]), "image_truncated"),
    "a JPEG without tables": (remove_part(JPEG, 1), "image_broken"),
    "a JPEG of many scans": (JPEG[:-2] + split_parts(JPEG)[-1][:-2] * 70 + JPEG[-2:], "image_truncated"),
    "a WebP without pixels": (remove_part(WEBP, 1), "image_broken"),
    "a PNG of 3.6 gigapixels": (png_with_header(width=60_000, height=60_000), "image_too_large"),
    "a JPEG of 4.2 gigapixels": (jpeg_with_size(65_000, 65_000), "image_too_large"),
    "a PNG of width 0": (png_with_header(width=0), "image_too_small"),
    "a JPEG of height 0": (jpeg_with_size(64, 0), "image_too_small"),
    "a PNG with fewer rows than its header declares": (png_with_header(height=480), "decoded"),
    "a PNG of depth 16": (png_with_header(depth=16), "image_colour_unsupported"),
    "a PNG of no known colour type": (png_with_header(colour=5), "image_colour_unsupported"),
    "a CMYK JPEG": (encode_picture(noise_picture().convert("CMYK"), "JPEG"), "image_colour_unsupported"),
    "an animated PNG": (
        encode_picture(noise_picture(), "PNG", save_all=True, append_images=[noise_picture(seed=1)]),
        "image_animated",
    ),
    "an animated WebP": (
        encode_picture(noise_picture(), "WEBP", save_all=True, append_images=[noise_picture(seed=1)]),
        "image_animated",
    ),
    "a JPEG and a zip": (JPEG + b"PK\x03\x04", "image_trailing_data"),
    "a JPEG and a JPEG": (JPEG + JPEG, "image_trailing_data"),
    "a PNG and an HTML page": (PNG + b"<html>", "image_trailing_data"),
    "a WebP and a PDF": (WEBP + b"%PDF-1.7", "image_trailing_data"),
    "an HTML page before a PNG": (b"<html>" + PNG, "image_unsupported"),
    "a PNG's signature before a JPEG": (PNG_SIGNATURE + JPEG, "image_truncated"),
}


@pytest.mark.parametrize("name", CASES)
def test_hostile_picture_has_the_expected_outcome(name: str) -> None:
    data, code = CASES[name]
    assert outcome(data) == code


def picture_with_exif(kind: str, body: bytes) -> bytes:
    return encode_picture(noise_picture(), kind, exif=b"Exif\0\0" + body)


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
def test_broken_exif_does_not_reject_a_picture(kind: str, body: bytes) -> None:
    assert outcome(picture_with_exif(kind, body)) == "decoded"


def test_corpus_seeds_have_the_expected_outcomes() -> None:
    assert {outcome(seed) for seed in seed_pictures()} == {
        "decoded",
        "image_animated",
        "image_colour_unsupported",
    }
    assert [outcome(seed) for seed in seed_pictures()].count("decoded") >= 11


def test_errors_have_both_languages() -> None:
    for error in BiometricsError.__subclasses__():
        assert error.zh != error.en
    assert Image.MAX_IMAGE_PIXELS is not None

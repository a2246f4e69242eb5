"""Decodes thousands of damaged and manipulated pictures in one process, so that a crash is detected.

`python -m tests.support.biometrics.hostile_pictures COUNT FILE...` prints one JSON object: the outcomes for COUNT hostile
pictures, the growth of the process's memory, its CPU time, and the memory for the pictures in the files. The seed is fixed,
so that failures are reproducible.
"""

import json
import random
import resource
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pillow_heif
from PIL import Image

from biometrics.errors import BiometricsError
from biometrics.pictures.decoding import DecodeLimits, Picture
from biometrics.pictures.fingerprints import fingerprint
from biometrics.pictures.heif_container import is_heic
from tests.support.biometrics.pictures import encode_picture, noise_picture

SEED = 20_260_101
LIMITS = DecodeLimits(max_bytes=200_000, max_pixels=1_000_000)
SIZES = (0, 1, 2, 3, 7, 8, 0x7F, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF)
PLAUSIBLE = (32, 40, 47, 48, 49, 63, 64, 65, 128, 200, 640, 1000) * 3
PNG_SIGNATURE, PNG_HEAD, WEBP_HEAD = b"\x89PNG\r\n\x1a\n", 8, 12
FOREIGN = (
    b"PK\x03\x04\x14\x00 a zip archive", b"<html><script>alert(1)</script>", b"%PDF-1.7\n", b"GIF89a\x01\x00\x01\x00",
    b"\x00" * 64, b"\xff" * 64, b"\xff\xd8\xff\xe0", PNG_SIGNATURE, b"RIFF\x08\x00\x00\x00WEBP",
)  # fmt: skip

Mutation = Callable[[bytes, random.Random], bytes]


@cache
def seed_pictures() -> tuple[bytes, ...]:
    """Small valid pictures of every format, some of them valid but not accepted."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    still, later = noise_picture(), noise_picture(seed=1)
    return (
        encode_picture(still, "JPEG"),
        encode_picture(still, "JPEG", progressive=True, exif=exif),
        encode_picture(still, "JPEG", subsampling=0, quality=97, icc_profile=b"\x00" * 128),
        encode_picture(still.convert("L"), "JPEG"),
        encode_picture(still.convert("CMYK"), "JPEG"),
        encode_picture(still, "PNG", exif=exif),
        encode_picture(still.convert("P"), "PNG"),
        encode_picture(still.convert("LA"), "PNG"),
        encode_picture(still.convert("1"), "PNG"),
        encode_picture(still.convert("I;16"), "PNG"),
        encode_picture(still, "PNG", save_all=True, append_images=[later]),
        encode_picture(still, "WEBP", exif=exif),
        encode_picture(still, "WEBP", lossless=True),
        encode_picture(still.convert("RGBA"), "WEBP"),
        encode_picture(still, "WEBP", save_all=True, append_images=[later]),
        heic_picture(still),
        heic_picture(still.convert("RGBA").rotate(90, expand=True), exif=exif),
    )


def heic_picture(image: Image.Image, **options: object) -> bytes:
    pillow_heif.register_heif_opener()
    return encode_picture(image, "HEIF", **options)


def change_bytes(data: bytes, rng: random.Random) -> bytes:
    """Overwrite, insert or remove some bytes."""
    mutated = bytearray(data)
    for _ in range(rng.randint(1, 12)):
        at = rng.randint(0, len(mutated))
        mutated[at : at + rng.randint(0, 4)] = rng.randbytes(rng.randint(0, 4))
    return bytes(mutated)


def flip_bits(data: bytes, rng: random.Random) -> bytes:
    """Flip single bits, which keeps every length."""
    mutated = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        mutated[rng.randrange(len(mutated))] ^= 1 << rng.randrange(8)
    return bytes(mutated)


def truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def falsify_lengths(data: bytes, rng: random.Random) -> bytes:
    """Declare a wrong length for one part."""
    parts = split_parts(data)
    at = rng.randrange(len(parts))
    size = rng.choice(SIZES)
    if data.startswith(b"\xff\xd8"):
        parts[at] = parts[at][:2] + struct.pack(">H", size & 0xFFFF) + parts[at][4:]
    elif data.startswith(PNG_SIGNATURE):
        parts[at] = struct.pack(">I", size) + parts[at][4:]
    elif is_heic(data):
        parts[at] = struct.pack(">I", size) + parts[at][4:]
        inner = data.index(rng.choice([b"ipco", b"iloc", b"ipma", b"pitm", b"ispe", b"hvcC"])) - 4
        if rng.random() < 0.7:
            return data[:inner] + struct.pack(">I", size) + data[inner + 4 :]
    elif rng.random() < 0.5:
        parts[at] = parts[at][:4] + struct.pack("<I", size) + parts[at][8:]
    else:
        return data[:4] + struct.pack("<I", size) + data[8:]
    return header_of(data) + b"".join(parts)


def shuffle_parts(data: bytes, rng: random.Random) -> bytes:
    """Swap, duplicate or remove parts. Their own checksums stay valid."""
    parts = split_parts(data)
    for _ in range(rng.randint(1, 3)):
        one, other = rng.randrange(len(parts)), rng.randrange(len(parts))
        kind = rng.randrange(3)
        if kind == 0:
            parts[one], parts[other] = parts[other], parts[one]
        elif kind == 1:
            parts.insert(one, parts[other])
        elif len(parts) > 1:
            del parts[one]
    return assemble(data, parts)


def falsify_dimensions(data: bytes, rng: random.Random) -> bytes:
    """Declare a wrong width, height, depth or colour type, with valid checksums."""
    parts = split_parts(data)
    if is_heic(data):
        at = data.index(b"ispe") + 8
        sides = [rng.choice([*SIZES, *PLAUSIBLE]) for _ in range(2)]
        return data[:at] + struct.pack(">II", *sides) + data[at + 8 :]
    for at, part in enumerate(parts):
        if part[4:8] == b"IHDR":
            sides = [rng.choice([*SIZES, *PLAUSIBLE]) for _ in range(2)]
            body = (
                struct.pack(">II", *sides)
                + bytes([rng.choice([1, 2, 4, 8, 8, 8, 16]), rng.choice([2, 2, *range(8)])])
                + part[18:21]
            )
            parts[at] = png_chunk(b"IHDR", body)
        elif part[:2] in {b"\xff\xc0", b"\xff\xc2"}:
            sides = [rng.choice([*SIZES, *PLAUSIBLE]) & 0xFFFF for _ in range(2)]
            parts[at] = (
                part[:5]
                + struct.pack(">HH", *sides)
                + bytes([rng.choice([0, 1, 1, 2, 3, 3, 3, 4, 255])])
                + part[10:]
            )
        elif part[:4] in {b"VP8X", b"VP8L", b"VP8 "}:
            place = {b"VP8X": 12, b"VP8L": 9, b"VP8 ": 14}[part[:4]]
            parts[at] = part[:place] + rng.randbytes(4) + part[place + 4 :]
    return assemble(data, parts)


def insert_broken_exif(data: bytes, rng: random.Random) -> bytes:
    """Insert EXIF data with loops, offsets beyond the end, too many entries, or noise."""
    order = rng.choice("<>")
    entries = [
        struct.pack(f"{order}HHII", rng.choice([0x0112, 0x8769, 0x8825, 0xA005, 0x0100]), rng.randrange(20),
                    rng.choice(SIZES), rng.choice([8, *SIZES]))
        for _ in range(rng.randint(0, 6))
    ]  # fmt: skip
    count = rng.choice([len(entries), len(entries), 0, 0xFFFF])
    tiff = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, rng.choice([8, 8, 8, *SIZES]))
    tiff += struct.pack(f"{order}H", count) + b"".join(entries) + struct.pack(f"{order}I", rng.choice([0, 8]))
    if rng.random() < 0.3:
        tiff = flip_bits(tiff, rng)
    if data.startswith(b"\xff\xd8"):
        body = b"Exif\0\0" + tiff
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]
    if is_heic(data):
        return data + struct.pack(">I4s", 8 + len(tiff), b"uuid") + tiff
    parts = [part for part in split_parts(data) if part[:4] != b"EXIF"]
    if data.startswith(PNG_SIGNATURE):
        parts.insert(1, png_chunk(b"eXIf", tiff))
    else:
        padded = tiff + b"\0" * (len(tiff) % 2)
        parts.append(b"EXIF" + struct.pack("<I", len(tiff)) + padded)
        if parts[0].startswith(b"VP8X"):
            parts[0] = parts[0][:8] + bytes([parts[0][8] | 8]) + parts[0][9:]
    return assemble(data, parts)


def insert_foreign_data(data: bytes, rng: random.Random) -> bytes:
    """Insert foreign data before, after or inside the picture."""
    foreign = rng.choice([*FOREIGN, rng.choice(seed_pictures())])
    at = rng.choice([0, len(data), rng.randrange(len(data))])
    return data[:at] + foreign + data[at:]


def replace_pixels(data: bytes, rng: random.Random) -> bytes:
    """Replace the rows of a PNG by too many, too few or noise. Shuffle the parts of other formats."""
    if not data.startswith(PNG_SIGNATURE):
        return flip_bits(shuffle_parts(data, rng), rng)
    rows = rng.choice([rng.randbytes(rng.randrange(20_000)), bytes(rng.randrange(3_000_000))])
    parts = [part for part in split_parts(data) if part[4:8] != b"IDAT"]
    parts.insert(-1, png_chunk(b"IDAT", zlib.compress(rows, 1)))
    return assemble(data, parts)


MUTATIONS: tuple[Mutation, ...] = (
    change_bytes, flip_bits, truncate, falsify_lengths, shuffle_parts, falsify_dimensions, insert_broken_exif, insert_foreign_data,
    replace_pixels,
)  # fmt: skip


def header_of(data: bytes) -> bytes:
    if is_heic(data):
        return b""
    if data.startswith(b"\xff\xd8"):
        return data[:2]
    return data[:PNG_HEAD] if data.startswith(PNG_SIGNATURE) else data[:WEBP_HEAD]


def split_parts(data: bytes) -> list[bytes]:
    """Segments, chunks or RIFF chunks of a valid picture. The scan of a JPEG forms one part with its header."""
    position, parts = len(header_of(data)), []
    while position < len(data):
        if data.startswith(b"\xff\xd8"):
            length = (
                2 + struct.unpack_from(">H", data, position + 2)[0]
                if data[position + 1] != 0xDA
                else len(data)
            )
        elif data.startswith(PNG_SIGNATURE):
            length = 12 + struct.unpack_from(">I", data, position)[0]
        elif is_heic(data):
            length = struct.unpack_from(">I", data, position)[0]
        else:
            size = struct.unpack_from("<I", data, position + 4)[0]
            length = 8 + size + size % 2
        parts.append(data[position : position + length])
        position += length
    return parts


def assemble(data: bytes, parts: list[bytes]) -> bytes:
    """Join the parts to a picture, with a correct length for WebP."""
    body = b"".join(parts)
    if is_heic(data):
        return body
    if data.startswith((b"\xff\xd8", PNG_SIGNATURE)):
        return header_of(data) + body
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def make_hostile_pictures(count: int) -> "list[tuple[str, bytes]]":
    """Names of mutations and mutated pictures. A third of them are mutated twice."""
    rng = random.Random(SEED)
    mutated = []
    for number in range(count):
        mutation = MUTATIONS[number % len(MUTATIONS)]
        data = mutation(rng.choice(seed_pictures()), rng)
        if data and rng.random() < 1 / 3:
            data = rng.choice((change_bytes, flip_bits, truncate))(data, rng)
        mutated.append((mutation.__name__, data))
    return mutated


def outcome(data: bytes) -> str:
    """The error code, or "decoded". Any other exception ends the run."""
    try:
        picture = Picture.open(data, LIMITS)
        fingerprint(picture)
        for decoded in (picture.grey(), picture.rgb(), picture.rgb_for_face(20)):
            assert decoded.pixels.size <= 3 * LIMITS.max_pixels
    except BiometricsError as error:
        return error.code
    return "decoded"


def peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def largest_allowed() -> dict[str, bytes]:
    """Pictures with few bytes and as many pixels as the default limits allow."""
    side = int(DecodeLimits().max_pixels ** 0.5)
    return {
        "png": encode_picture(Image.new("RGBA", (side, side)), "PNG", compress_level=1),
        "jpeg": encode_picture(Image.new("RGB", (side, side)), "JPEG", progressive=True),
        "webp": encode_picture(Image.new("RGB", (side, side)), "WEBP", quality=1, method=0),
        "heic": heic_picture(Image.new("RGB", (side, side)), quality=1, enc_params={"preset": "ultrafast"}),
    }


def cached_mib(data: bytes) -> float:
    """MiB of decodings that a check of the picture caches."""
    picture = Picture.open(data, DecodeLimits())
    return sum(each.pixels.nbytes for each in (picture.grey(960), picture.rgb_for_face(50))) / 2**20


def main() -> None:
    """Decode all pictures and print the outcomes."""
    for seed in seed_pictures():
        outcome(seed)
    pictures = make_hostile_pictures(int(sys.argv[1]))
    outcomes: dict[str, Counter[str]] = {mutation.__name__: Counter() for mutation in MUTATIONS}
    baseline, started = peak_mib(), time.process_time()
    for name, data in pictures:
        outcomes[name][outcome(data)] += 1
    cpu_s, grown = time.process_time() - started, peak_mib() - baseline
    cached = [cached_mib(Path(name).read_bytes()) for name in sys.argv[2:]]
    peak = peak_mib() - baseline
    report = {
        "outcomes": outcomes,
        "cpu_s": cpu_s,
        "grown_mib": grown,
        "cached_mib": cached,
        "peak_mib": peak,
    }
    print(json.dumps(report))  # noqa: T201 - the output of the script


if __name__ == "__main__":
    main()

"""Thousands of damaged, lying and absurd pictures through the decoder, in one process whose death would be seen.

`python -m tests.support.biometrics.hostile_pictures COUNT FILE...` prints one JSON object: what became of so many hostile
pictures, the memory by which the process grew, its CPU time, and the same for the pictures in the files. The seed is
fixed, so that a failure comes again.
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

from PIL import Image

from biometrics.errors import BiometricsError
from biometrics.pictures.decoding import DecodeLimits, Picture
from biometrics.pictures.fingerprints import fingerprint
from tests.support.biometrics.pictures import encoded, noise

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
def seeds() -> tuple[bytes, ...]:
    """Small sound pictures of every kind, and some that are sound but unwelcome."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    still, later = noise(), noise(seed=1)
    return (
        encoded(still, "JPEG"),
        encoded(still, "JPEG", progressive=True, exif=exif),
        encoded(still, "JPEG", subsampling=0, quality=97, icc_profile=b"\x00" * 128),
        encoded(still.convert("L"), "JPEG"),
        encoded(still.convert("CMYK"), "JPEG"),
        encoded(still, "PNG", exif=exif),
        encoded(still.convert("P"), "PNG"),
        encoded(still.convert("LA"), "PNG"),
        encoded(still.convert("1"), "PNG"),
        encoded(still.convert("I;16"), "PNG"),
        encoded(still, "PNG", save_all=True, append_images=[later]),
        encoded(still, "WEBP", exif=exif),
        encoded(still, "WEBP", lossless=True),
        encoded(still.convert("RGBA"), "WEBP"),
        encoded(still, "WEBP", save_all=True, append_images=[later]),
    )


def changed_bytes(data: bytes, chance: random.Random) -> bytes:
    """Some bytes set, inserted or taken out."""
    mutated = bytearray(data)
    for _ in range(chance.randint(1, 12)):
        at = chance.randint(0, len(mutated))
        mutated[at : at + chance.randint(0, 4)] = chance.randbytes(chance.randint(0, 4))
    return bytes(mutated)


def changed_bits(data: bytes, chance: random.Random) -> bytes:
    """Single bits turned, which keeps every length."""
    mutated = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        mutated[chance.randrange(len(mutated))] ^= 1 << chance.randrange(8)
    return bytes(mutated)


def truncated(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def lying_lengths(data: bytes, chance: random.Random) -> bytes:
    """One part says that it is longer or shorter than it is."""
    parts = parts_of(data)
    at = chance.randrange(len(parts))
    size = chance.choice(SIZES)
    if data.startswith(b"\xff\xd8"):
        parts[at] = parts[at][:2] + struct.pack(">H", size & 0xFFFF) + parts[at][4:]
    elif data.startswith(PNG_SIGNATURE):
        parts[at] = struct.pack(">I", size) + parts[at][4:]
    elif chance.random() < 0.5:
        parts[at] = parts[at][:4] + struct.pack("<I", size) + parts[at][8:]
    else:
        return data[:4] + struct.pack("<I", size) + data[8:]
    return head_of(data) + b"".join(parts)


def shuffled_parts(data: bytes, chance: random.Random) -> bytes:
    """Parts change places, come twice or not at all; their own check sums stay right."""
    parts = parts_of(data)
    for _ in range(chance.randint(1, 3)):
        one, other = chance.randrange(len(parts)), chance.randrange(len(parts))
        kind = chance.randrange(3)
        if kind == 0:
            parts[one], parts[other] = parts[other], parts[one]
        elif kind == 1:
            parts.insert(one, parts[other])
        elif len(parts) > 1:
            del parts[one]
    return whole(data, parts)


def lying_dimensions(data: bytes, chance: random.Random) -> bytes:
    """Another width, height, depth or colour type than the pixels have; check sums right."""
    parts = parts_of(data)
    for at, part in enumerate(parts):
        if part[4:8] == b"IHDR":
            sides = [chance.choice([*SIZES, *PLAUSIBLE]) for _ in range(2)]
            body = (
                struct.pack(">II", *sides)
                + bytes([chance.choice([1, 2, 4, 8, 8, 8, 16]), chance.choice([2, 2, *range(8)])])
                + part[18:21]
            )
            parts[at] = chunk(b"IHDR", body)
        elif part[:2] in {b"\xff\xc0", b"\xff\xc2"}:
            sides = [chance.choice([*SIZES, *PLAUSIBLE]) & 0xFFFF for _ in range(2)]
            parts[at] = (
                part[:5]
                + struct.pack(">HH", *sides)
                + bytes([chance.choice([0, 1, 1, 2, 3, 3, 3, 4, 255])])
                + part[10:]
            )
        elif part[:4] in {b"VP8X", b"VP8L", b"VP8 "}:
            place = {b"VP8X": 12, b"VP8L": 9, b"VP8 ": 14}[part[:4]]
            parts[at] = part[:place] + chance.randbytes(4) + part[place + 4 :]
    return whole(data, parts)


def absurd_exif(data: bytes, chance: random.Random) -> bytes:
    """EXIF of loops, of offsets beyond the end, of a million entries, or of noise."""
    order = chance.choice("<>")
    entries = [
        struct.pack(f"{order}HHII", chance.choice([0x0112, 0x8769, 0x8825, 0xA005, 0x0100]), chance.randrange(20),
                    chance.choice(SIZES), chance.choice([8, *SIZES]))
        for _ in range(chance.randint(0, 6))
    ]  # fmt: skip
    count = chance.choice([len(entries), len(entries), 0, 0xFFFF])
    tiff = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, chance.choice([8, 8, 8, *SIZES]))
    tiff += (
        struct.pack(f"{order}H", count) + b"".join(entries) + struct.pack(f"{order}I", chance.choice([0, 8]))
    )
    if chance.random() < 0.3:
        tiff = changed_bits(tiff, chance)
    if data.startswith(b"\xff\xd8"):
        body = b"Exif\0\0" + tiff
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]
    parts = [part for part in parts_of(data) if part[:4] != b"EXIF"]
    if data.startswith(PNG_SIGNATURE):
        parts.insert(1, chunk(b"eXIf", tiff))
    else:
        padded = tiff + b"\0" * (len(tiff) % 2)
        parts.append(b"EXIF" + struct.pack("<I", len(tiff)) + padded)
        if parts[0].startswith(b"VP8X"):
            parts[0] = parts[0][:8] + bytes([parts[0][8] | 8]) + parts[0][9:]
    return whole(data, parts)


def polyglot(data: bytes, chance: random.Random) -> bytes:
    """Something else before, after or inside the picture."""
    foreign = chance.choice([*FOREIGN, chance.choice(seeds())])
    at = chance.choice([0, len(data), chance.randrange(len(data))])
    return data[:at] + foreign + data[at:]


def other_pixels(data: bytes, chance: random.Random) -> bytes:
    """A PNG whose compressed rows are too many, too few or noise; another kind gets its content shuffled instead."""
    if not data.startswith(PNG_SIGNATURE):
        return changed_bits(shuffled_parts(data, chance), chance)
    rows = chance.choice([chance.randbytes(chance.randrange(20_000)), bytes(chance.randrange(3_000_000))])
    parts = [part for part in parts_of(data) if part[4:8] != b"IDAT"]
    parts.insert(-1, chunk(b"IDAT", zlib.compress(rows, 1)))
    return whole(data, parts)


MUTATIONS: tuple[Mutation, ...] = (
    changed_bytes, changed_bits, truncated, lying_lengths, shuffled_parts, lying_dimensions, absurd_exif, polyglot,
    other_pixels,
)  # fmt: skip


def head_of(data: bytes) -> bytes:
    if data.startswith(b"\xff\xd8"):
        return data[:2]
    return data[:PNG_HEAD] if data.startswith(PNG_SIGNATURE) else data[:WEBP_HEAD]


def parts_of(data: bytes) -> list[bytes]:
    """Segments, chunks or RIFF chunks of a sound picture; the scan of a JPEG is one with its header."""
    position, parts = len(head_of(data)), []
    while position < len(data):
        if data.startswith(b"\xff\xd8"):
            length = (
                2 + struct.unpack_from(">H", data, position + 2)[0]
                if data[position + 1] != 0xDA
                else len(data)
            )
        elif data.startswith(PNG_SIGNATURE):
            length = 12 + struct.unpack_from(">I", data, position)[0]
        else:
            size = struct.unpack_from("<I", data, position + 4)[0]
            length = 8 + size + size % 2
        parts.append(data[position : position + length])
        position += length
    return parts


def whole(data: bytes, parts: list[bytes]) -> bytes:
    """The picture put together again; a WebP's length is made right."""
    body = b"".join(parts)
    if data.startswith((b"\xff\xd8", PNG_SIGNATURE)):
        return head_of(data) + body
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def hostile(count: int) -> "list[tuple[str, bytes]]":
    """Name of the mutation and picture; a third are mutated twice."""
    chance = random.Random(SEED)
    made = []
    for number in range(count):
        mutation = MUTATIONS[number % len(MUTATIONS)]
        data = mutation(chance.choice(seeds()), chance)
        if data and chance.random() < 1 / 3:
            data = chance.choice((changed_bytes, changed_bits, truncated))(data, chance)
        made.append((mutation.__name__, data))
    return made


def outcome(data: bytes) -> str:
    """The code of the refusal, or "decoded"; anything else that is raised ends the run."""
    try:
        picture = Picture.open(data, LIMITS)
        fingerprint(picture)
        for decoded in (picture.grey(), picture.rgb(), picture.showing(20)):
            assert decoded.pixels.size <= 3 * LIMITS.max_pixels
    except BiometricsError as refusal:
        return refusal.code
    return "decoded"


def peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def largest_allowed() -> dict[str, bytes]:
    """Pictures of few bytes and as many pixels as the shipped limits allow."""
    side = int(DecodeLimits().max_pixels ** 0.5)
    return {
        "png": encoded(Image.new("RGBA", (side, side)), "PNG", compress_level=1),
        "jpeg": encoded(Image.new("RGB", (side, side)), "JPEG", progressive=True),
        "webp": encoded(Image.new("RGB", (side, side)), "WEBP", quality=1, method=0),
    }


def held_by_largest(data: bytes) -> float:
    """MiB of decodings that a check of the picture keeps."""
    picture = Picture.open(data, DecodeLimits())
    return sum(each.pixels.nbytes for each in (picture.grey(960), picture.showing(50))) / 2**20


def main() -> None:
    """Decode them all and say what happened."""
    for seed in seeds():
        outcome(seed)
    pictures = hostile(int(sys.argv[1]))
    outcomes: dict[str, Counter[str]] = {mutation.__name__: Counter() for mutation in MUTATIONS}
    before, started = peak_mib(), time.process_time()
    for name, data in pictures:
        outcomes[name][outcome(data)] += 1
    cpu_s, grown = time.process_time() - started, peak_mib() - before
    held = [held_by_largest(Path(name).read_bytes()) for name in sys.argv[2:]]
    at_most = peak_mib() - before
    answer = {
        "outcomes": outcomes,
        "cpu_s": cpu_s,
        "grown_mib": grown,
        "held_mib": held,
        "at_most_mib": at_most,
    }
    print(json.dumps(answer))  # noqa: T201 - the answer


if __name__ == "__main__":
    main()

"""Sealing and opening a frame of 145 kB with each cipher, and what the keys and the file add.

One thread, medians in microseconds. "store" is what one frame costs an API process beyond the upload: seal, and write
the file in the evidence folder. "read" is what it costs a worker: read the file, and open it. "plain" is the same file
without sealing.

    make bench ARGS="picture-sealing"
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

from backend.core.app_context import AppContext
from backend.core.evidence import EvidenceStore
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.identity.pictures.refs import PictureKind, PictureRef
from backend.identity.pictures.store import get_picture, put_picture
from bench.report import publish
from biometrics.templates.sealing import (
    Cipher,
    KeyEncryptionKey,
    PictureKey,
    derive_picture_name,
    new_picture_key,
    new_school_key,
    open_picture,
    open_picture_key,
    open_school_key,
    seal_picture,
)

FRAME_BYTES, ROUNDS = 145_000, 300
STUDENT, SCHOOL = "student", "school"


class _Context:
    """The parts of an application context that the store of pictures uses."""

    def __init__(self, folder: Path, cipher: Cipher) -> None:
        self.evidence = EvidenceStore.local(folder)
        self.keys = KeyRing({}, {}, {}, template_cipher=cipher.value)


def measure(compute: Callable[[], object]) -> float:
    """The median time of a call in microseconds."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        compute()
        times.append(time.perf_counter() - began)
    return 1e6 * statistics.median(times)


async def measure_async(compute: Callable[[int], Awaitable[object]]) -> float:
    """The median time of awaiting a call in microseconds; the call gets the number of the round."""
    times = []
    for number in range(ROUNDS):
        began = time.perf_counter()
        await compute(number)
        times.append(time.perf_counter() - began)
    return 1e6 * statistics.median(times)


async def measure_cipher(cipher: Cipher, folder: Path) -> dict[str, object]:
    """One row of the table."""
    root = KeyEncryptionKey("1", os.urandom(32))
    school = new_school_key(SCHOOL, root, cipher)
    wrapped = new_picture_key(STUDENT, open_school_key(school, SCHOOL, root), cipher)

    def unwrap() -> PictureKey:
        return open_picture_key(wrapped, STUDENT, open_school_key(school, SCHOOL, root))

    key, data = unwrap(), os.urandom(FRAME_BYTES)
    picture = PictureRef(PictureKind.FRAME, new_id(), new_id(), new_id())
    sealed = seal_picture(data, picture.context, key, cipher)
    context = cast("AppContext", _Context(folder / cipher.value, cipher))

    for number in range(256):  # a store in use has them already
        (folder / cipher.value / "pictures" / f"{number:02x}").mkdir(parents=True)

    def frame(number: int) -> PictureRef:
        return replace(picture, position=number)

    return {
        "cipher": cipher.value,
        "seal": measure(lambda: seal_picture(data, picture.context, key, cipher)),
        "open": measure(lambda: open_picture(sealed, picture.context, key)),
        "unwrap both keys": measure(unwrap),
        "name": measure(lambda: derive_picture_name(picture.context, key)),
        "store": await measure_async(lambda number: put_picture(context, key, frame(number), data)),
        "store plain": await measure_async(lambda number: context.evidence.put(f"plain/{number}", data)),
        "read": await measure_async(lambda number: get_picture(context, key, frame(number))),
        "read plain": await measure_async(lambda number: context.evidence.get(f"plain/{number}")),
    }


async def main() -> None:
    """Measure every cipher."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [await measure_cipher(cipher, Path(folder)) for cipher in Cipher]
    publish("picture_sealing", f"one frame of {FRAME_BYTES} bytes, medians in microseconds", rows)


if __name__ == "__main__":
    asyncio.run(main())

"""A comma-separated file read as a stream, in the encoding it is really in."""

import codecs
import csv
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import IO

from backend.exchange.roster.cells import RawRow
from backend.exchange.roster.errors import RosterDamaged, RosterEncodingUnknown, RosterTooLarge

MAX_BYTES = 2 * 2**30
CHUNK = 1024 * 1024


def detect_encoding(path: Path) -> str:
    """`utf-8-sig` or `gb18030`, whichever the whole file is valid in, UTF-8 first.

    Chinese text in GB18030 is practically never valid UTF-8, so the order cannot mistake one for the other;
    a file valid in neither is refused rather than read with holes.
    """
    for encoding in ("utf-8-sig", "gb18030"):
        decoder = codecs.getincrementaldecoder(encoding)(errors="strict")
        try:
            with path.open("rb") as stream:
                while chunk := stream.read(CHUNK):
                    if b"\x00" in chunk:  # UTF-16, or no text at all
                        raise RosterEncodingUnknown
                    decoder.decode(chunk)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    raise RosterEncodingUnknown


def delimited_rows(path: Path, advanced: Callable[[int], None]) -> Iterator[RawRow]:
    """The rows that have any content; `advanced` is told the bytes read. Row numbers count records from 1."""
    if path.stat().st_size > MAX_BYTES:
        raise RosterTooLarge(what_zh="CSV超过2GB", what_en="a CSV beyond 2 GB")
    encoding = detect_encoding(path)
    with path.open("rb") as raw, TextIOWrapper(raw, encoding=encoding, newline="") as text:
        records = csv.reader(_measured(text, raw, advanced), strict=True)
        try:
            for number, record in enumerate(records, start=1):
                cells = {column: text for column, text in enumerate(record) if text}
                if cells:
                    yield RawRow(number, cells)
        except csv.Error as damage:
            raise RosterDamaged(where=f"line {records.line_num}") from damage


def _measured(text: TextIOWrapper, raw: IO[bytes], advanced: Callable[[int], None]) -> Iterator[str]:
    """The lines of `text`, telling how far `raw` beneath it has been read."""
    position = 0
    for line in text:
        now_at = raw.tell()
        if now_at != position:
            advanced(now_at - position)
            position = now_at
        yield line

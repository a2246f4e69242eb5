"""Reads a CSV file as a stream, detecting its encoding."""

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
    """Return `utf-8-sig` or `gb18030`, whichever the whole file is valid in, trying UTF-8 first.

    Chinese text in GB18030 is practically never valid UTF-8, so the order is safe. A file valid in neither raises
    `RosterEncodingUnknown` instead of being read with replacement characters.
    """
    for encoding in ("utf-8-sig", "gb18030"):
        decoder = codecs.getincrementaldecoder(encoding)(errors="strict")
        try:
            with path.open("rb") as stream:
                while chunk := stream.read(CHUNK):
                    if b"\x00" in chunk:  # UTF-16 or binary
                        raise RosterEncodingUnknown
                    decoder.decode(chunk)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    raise RosterEncodingUnknown


def read_csv_rows(path: Path, advance: Callable[[int], None]) -> Iterator[RawRow]:
    """Yield the non-empty rows. `advance` receives the bytes read. Row numbers count records from 1."""
    if path.stat().st_size > MAX_BYTES:
        raise RosterTooLarge(what_zh="CSV超过2GB", what_en="a CSV beyond 2 GB")
    encoding = detect_encoding(path)
    with path.open("rb") as raw, TextIOWrapper(raw, encoding=encoding, newline="") as text:
        records = csv.reader(_lines_with_progress(text, raw, advance), strict=True)
        try:
            for number, record in enumerate(records, start=1):
                cells = {column: text for column, text in enumerate(record) if text}
                if cells:
                    yield RawRow(number, cells)
        except csv.Error as error:
            raise RosterDamaged(where=f"line {records.line_num}") from error


def _lines_with_progress(
    text: TextIOWrapper, raw: IO[bytes], advance: Callable[[int], None]
) -> Iterator[str]:
    """Yield the lines of `text` and report how far `raw` has been read."""
    position = 0
    for line in text:
        offset = raw.tell()
        if offset != position:
            advance(offset - position)
            position = offset
        yield line

"""Reads a CSV file as a stream, detecting its encoding."""

import codecs
import csv
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import IO

from backend.exchange.roster.cells import RawRow, Untyped
from backend.exchange.roster.errors import RosterDamaged, RosterEncodingUnknown, RosterTooLarge

MAX_BYTES = 2 * 2**30
CHUNK = 1024 * 1024
GB18030 = "gb18030"

_REASSIGNED = {
    "A6D9": 0xFE10,
    "A6DA": 0xFE12,
    "A6DB": 0xFE11,
    "A6DC": 0xFE13,
    "A6DD": 0xFE14,
    "A6DE": 0xFE15,
    "A6DF": 0xFE16,
    "A6EC": 0xFE17,
    "A6ED": 0xFE18,
    "A6F3": 0xFE19,
    "A8BC": 0x1E3F,
    "FE59": 0x9FB4,
    "FE61": 0x9FB5,
    "FE66": 0x9FB6,
    "FE67": 0x9FB7,
    "FE6D": 0x9FB8,
    "FE7E": 0x9FB9,
    "FE90": 0x9FBA,
    "FEA0": 0x9FBB,
}
GB18030_2022 = {ord(bytes.fromhex(code).decode(GB18030)): today for code, today in _REASSIGNED.items()}
"""Python decodes these codes as GB 18030-2000 did, to private-use characters. Today's standard has real ones."""


def detect_encoding(path: Path) -> str:
    """Return `utf-8-sig` or `gb18030`, whichever the whole file is valid in, trying UTF-8 first.

    Chinese text in GB18030 is practically never valid UTF-8, so the order is safe. A file valid in neither raises
    `RosterEncodingUnknown` instead of being read with replacement characters.
    """
    for encoding in ("utf-8-sig", GB18030):
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
        lines = _lines_with_progress(text, raw, advance)
        if encoding == GB18030:
            lines = (line.translate(GB18030_2022) for line in lines)
        records = csv.reader(lines, strict=True)
        try:
            for number, record in enumerate(records, start=1):
                cells: dict[int, str] = {column: Untyped(text) for column, text in enumerate(record) if text}
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

"""Reads a workbook as a stream of rows with openpyxl's read-only mode (docs/adr/0002-reading-excel.md).

This module checks the archive before anything is unpacked and converts cells to the form that the checks need.
openpyxl rejects document types and entities through defusedxml.
"""

import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import date, time, timedelta
from itertools import islice
from pathlib import Path
from typing import IO, Protocol, TypedDict, cast

from openpyxl import load_workbook
from openpyxl.utils.datetime import to_excel
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet._reader import WorkSheetParser

from backend.exchange.roster.cells import ErrorCell, Numeric, RawRow
from backend.exchange.roster.errors import RosterDamaged, RosterHasMacros, RosterTooLarge
from backend.exchange.roster.strict_ooxml import is_strict, to_transitional

MAX_ENTRIES = 1_000
MAX_UNPACKED_BYTES = 2 * 2**30
"""All entries together. 200,000 rows of 73 filled columns unpack to 0.7 GB."""
MAX_SHARED_STRINGS_BYTES = 128 * 2**20
"""Held in memory while the sheets are read; 200,000 rows of the template need 43 MB."""
MAX_PART_BYTES = 16 * 2**20
"""Any other part that is parsed whole: the workbook's description, relations, styles."""
MAX_CELL_CHARACTERS = 32_767
LAST_ROW, LAST_COLUMN = 1_048_576, 16_384
"""Excel's own limits."""
BATCH = 100
"""Rows read from openpyxl at a time."""

EPOCH_1900 = date(1899, 12, 30)
EPOCH_1904 = date(1904, 1, 1)

Progress = Callable[[int, int], None]
"""Called with the bytes read and the total bytes of the file."""

_SHEETS, _SHARED_STRINGS = "xl/worksheets/", "xl/sharedstrings.xml"
_PARSED_SUFFIXES = (".xml", ".rels", ".vml")

_OPENPYXL_ERRORS = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError, SyntaxError),
    *(TypeError, ValueError, InvalidFileException, zipfile.BadZipFile, zlib.error),
)
"""openpyxl does not validate damaged parts and may raise any of these. The XML parser raises SyntaxError,
defusedxml ValueError."""


class ParsedCell(TypedDict):
    """A cell as openpyxl's parser returns it; the published type stubs lack it."""

    row: int
    column: int
    value: object
    data_type: str


class Sheet(Protocol):
    """A worksheet of openpyxl's read-only mode; the published type stubs lack it."""

    title: str
    sheet_state: str

    _shared_strings: list[str]

    def _get_source(self) -> IO[bytes]: ...


class Workbook:
    """An `.xlsx` file opened for streaming. Rejects oversized archives and macros."""

    def __init__(self, path: Path) -> None:
        self._stream: IO[bytes] = path.open("rb")
        try:
            _check_archive(self._stream, path.name)
            with _convert_damage():
                if is_strict(self._stream):
                    with self._stream as strict:
                        self._stream = to_transitional(strict)
                self._book = load_workbook(self._stream, read_only=True, data_only=True, keep_links=False)
        except BaseException:
            self._stream.close()
            raise
        self._reached = 0

    @property
    def epoch(self) -> date:
        """Day zero of the workbook's serial dates."""
        return self._book.epoch.date()

    @property
    def sheets(self) -> tuple[Sheet, ...]:
        """The visible worksheets. Hidden ones hold code lists or data that the author excluded."""
        worksheets = cast("list[Sheet]", self._book.worksheets)
        return tuple(sheet for sheet in worksheets if sheet.sheet_state == "visible")

    def close(self) -> None:
        self._stream.close()

    def rows(self, sheet: Sheet, advance: Callable[[int], None]) -> Iterator[RawRow]:
        """Yield the non-empty rows of a sheet as they are unpacked. `advance` receives the packed bytes read."""
        # openpyxl's own rows tell neither hidden rows nor errors, and turn 20110303 under a date format into an error.
        source, strings = sheet._get_source(), sheet._shared_strings  # noqa: SLF001
        with closing(source):
            parser = WorkSheetParser(source, strings, data_only=True, epoch=self._book.epoch)
            parsed = parser.parse()
            while batch := self._next_rows(parsed, advance):
                for number, values in batch:
                    hidden = _is_hidden(parser.row_dimensions.pop(str(number), {}))
                    if number > LAST_ROW:
                        raise RosterTooLarge(what_zh=f"超过{LAST_ROW}行", what_en=f"beyond {LAST_ROW} rows")
                    if cells := self._cells(values, f"{sheet.title}!{number}"):
                        yield RawRow(number, cells, hidden)

    def _next_rows(
        self, parsed: Iterator[tuple[int, list[ParsedCell]]], advance: Callable[[int], None]
    ) -> list[tuple[int, list[ParsedCell]]]:
        with _convert_damage():
            batch = list(islice(parsed, BATCH))
        # Parts are not always packed in sheet order; progress never goes backwards.
        ahead = self._stream.tell() - self._reached
        if ahead > 0:
            self._reached += ahead
            advance(ahead)
        return batch

    def _cells(self, values: list[ParsedCell], where: str) -> dict[int, str]:
        """The non-empty cells by column index."""
        cells = {}
        for cell in values:
            if not 0 < cell["column"] <= LAST_COLUMN:
                raise RosterDamaged(where=where)
            if text := self._text(cell["value"]):
                cells[cell["column"] - 1] = ErrorCell(text) if cell["data_type"] == "e" else text
        return cells

    def _text(self, value: object) -> str:
        """The cell's value as text; `Numeric` if the workbook stores a number or a day."""
        match value:
            case str():
                if len(value) > MAX_CELL_CHARACTERS:
                    raise RosterTooLarge(
                        what_zh="单元格超过32767字", what_en="a cell beyond 32,767 characters"
                    )
                return value
            case None:
                return ""
            case bool():
                return "1" if value else "0"
            case date() | time() | timedelta():
                return Numeric(to_excel(value, self._book.epoch))  # type: ignore[no-untyped-call]  # untyped in the stubs
            case _:
                return Numeric(value)


def _is_hidden(attributes: Mapping[str, str]) -> bool:
    """Hidden by a person or a filter, or without height."""
    return attributes.get("hidden") in {"1", "true"} or attributes.get("ht") == "0"


@contextmanager
def _convert_damage() -> Iterator[None]:
    """Convert any error of openpyxl to `RosterDamaged` and ignore its warnings about styles and extensions."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="openpyxl")
        try:
            yield
        except _OPENPYXL_ERRORS as error:
            raise RosterDamaged(where=type(error).__name__) from error


def _check_archive(stream: IO[bytes], name: str) -> None:
    """Reject an archive by its directory alone.

    zipfile never inflates an entry beyond its declared size, so the declared sizes are safe limits.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise RosterDamaged(where=name) from error
    if len(entries) > MAX_ENTRIES:
        raise RosterTooLarge(what_zh="压缩包内文件过多", what_en="too many archive entries")
    if sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
        raise RosterTooLarge(what_zh="解压后过大", what_en="too large once unpacked")
    for entry in entries:
        part = entry.filename.lower()
        if part.endswith("vbaproject.bin") or "/macrosheets/" in part:
            raise RosterHasMacros
        if part.endswith(_PARSED_SUFFIXES) and not part.startswith(_SHEETS):
            limit = MAX_SHARED_STRINGS_BYTES if part == _SHARED_STRINGS else MAX_PART_BYTES
            if entry.file_size > limit:
                raise RosterTooLarge(what_zh=f"{part}过大", what_en=f"{part} is too large")

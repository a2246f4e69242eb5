"""Writes Excel workbooks (.xlsx) of lists in constant memory. Every cell is text or a number, never a formula."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from tempfile import TemporaryDirectory, TemporaryFile
from types import TracebackType
from typing import IO, Any, Self

from xlsxwriter import Workbook

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
"""Text that begins with one of these would be a formula if a person edited the cell, or if a program read it as one."""

Cell = str | int | None

_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}


def literal_text(text: str) -> str:
    """The text as XlsxWriter has to be given it: it writes a text in `<r>` tags into the file without escaping it."""
    return f" {text}" if text.startswith("<r>") and text.endswith("</r>") else text


@dataclass(frozen=True, slots=True)
class Column:
    """A column with its header in both languages and its width in characters."""

    zh: str
    en: str
    width: int = 14

    @property
    def header(self) -> str:
        """The header cell."""
        return f"{self.zh} {self.en}"


class ListWorkbook:
    """A workbook with one list, and a sheet that says what it is. Memory use is constant; rows are kept in files.

    Use it as an asynchronous context manager. The files are deleted at its end, and have no name before.
    """

    def __init__(self, sheet: str, columns: Sequence[Column]) -> None:
        self._sheet_name = sheet
        self._columns = columns
        self._files = ExitStack()
        self._finished = False
        self.rows = 0
        """Number of rows added."""

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._close)

    async def add_rows(self, rows: Sequence[Sequence[Cell]]) -> None:
        """Append rows, in another thread."""
        await asyncio.to_thread(self._write, rows)

    async def finish(self, notes: Iterable[tuple[str, str]]) -> IO[bytes]:
        """Add the sheet of notes (name and text) and return the file, at its start. The caller closes it."""
        return await asyncio.to_thread(self._finish, notes)

    def _open(self) -> None:
        folder = self._files.enter_context(TemporaryDirectory(prefix="dianming-list-"))
        self._file = TemporaryFile()  # noqa: SIM115 - `finish` hands it to the caller
        self._book = Workbook(self._file, {**_OPTIONS, "tmpdir": folder})
        self._text = self._book.add_format({"num_format": "@"})
        self._quoted = self._book.add_format({"num_format": "@", "quote_prefix": True})
        heading = self._book.add_format({"bold": True, "text_wrap": True, "num_format": "@"})
        self._sheet = self._book.add_worksheet(self._sheet_name)
        for position, column in enumerate(self._columns):
            self._sheet.set_column(position, position, column.width)
        self._sheet.freeze_panes(1, 0)
        self._sheet.repeat_rows(0)
        self._sheet.set_landscape()
        self._sheet.fit_to_pages(1, 0)
        for position, column in enumerate(self._columns):
            self._sheet.write_string(0, position, column.header, heading)

    def _close(self) -> None:
        if not self._finished:
            self._book.close()
            self._file.close()
        self._files.close()

    def _write(self, rows: Sequence[Sequence[Cell]]) -> None:
        for cells in rows:
            self.rows += 1
            for position, cell in enumerate(cells):
                self._write_cell(self._sheet, self.rows, position, cell)

    def _write_cell(self, sheet: Any, row: int, position: int, cell: Cell) -> None:
        if cell is None or cell == "":
            return
        if isinstance(cell, int):
            sheet.write_number(row, position, cell)
        else:
            quoted = cell.startswith(FORMULA_PREFIXES)
            sheet.write_string(row, position, literal_text(cell), self._quoted if quoted else self._text)

    def _finish(self, notes: Iterable[tuple[str, str]]) -> IO[bytes]:
        if self.rows:
            self._sheet.autofilter(0, 0, self.rows, len(self._columns) - 1)
        about = self._book.add_worksheet("说明 About")
        about.set_column(0, 0, 24)
        about.set_column(1, 1, 60)
        for row, note in enumerate(notes):
            for position, cell in enumerate(note):
                self._write_cell(about, row, position, cell)
        self._book.close()
        self._finished = True
        self._file.seek(0)
        return self._file

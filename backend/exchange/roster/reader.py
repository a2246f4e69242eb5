"""Reads a roster file as a stream of students and findings."""

import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path

from backend.exchange.roster.cells import RawRow
from backend.exchange.roster.csv_reader import read_csv_rows
from backend.exchange.roster.errors import (
    RosterHeaderMissing,
    RosterKindUnsupported,
    RosterMissing,
    RosterTooLarge,
)
from backend.exchange.roster.header import SEARCHED_ROWS, is_header, match_header
from backend.exchange.roster.hidden_rows import HiddenRows
from backend.exchange.roster.issues import ColumnRef, RowIssue, Severity, repeated
from backend.exchange.roster.rows import RosterRow, SheetContext, check_row
from backend.exchange.roster.xlsx_reader import EPOCH_1900, Progress, Workbook
from backend.people.identifiers import Defect

CSV_SHEET = "CSV"
"""The sheet name of a CSV file in findings."""


MAX_ROWS = 1_048_576
"""Excel's limit for a sheet, applied to the whole file; it bounds the memory for numbers already seen."""


def no_progress(_done: int, _total: int) -> None:
    """A progress callback that does nothing."""


def read_roster(
    path: Path, *, today: date, progress: Progress = no_progress
) -> Iterator[RosterRow | RowIssue]:
    """Read `.xlsx` or `.csv` row by row. Yields the findings of a row, then the student unless there is an error.

    Every visible sheet with a header row is read; sheets without one (notes, code lists) are skipped. Memory is
    bounded by the shared strings, the number of rows and the numbers seen, not by the cells. Raises the errors of
    `backend.exchange.roster.errors` for a file that cannot be read at all.
    """
    return _read_sheets(open_sheets(path, progress), today)


@dataclass(frozen=True, slots=True)
class RawSheet:
    """A visible sheet as the file has it. `epoch`: day zero of its serial dates."""

    name: str
    epoch: date
    rows: Iterator[RawRow]


def open_sheets(path: Path, progress: Progress = no_progress) -> Iterator[RawSheet]:
    """The visible sheets of a file; each is read before the next is asked for. Raises the errors of `read_roster`."""
    if not path.is_file():
        raise RosterMissing(name=path.name)
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return _delimited_sheet(path, progress)
    if suffix == ".xlsx" and zipfile.is_zipfile(path):
        return _workbook_sheets(path, progress)
    # A renamed .xls and a password-protected .xlsx are OLE files, not zip archives.
    raise RosterKindUnsupported(name=path.name)


def read_to_header(rows: Iterator[RawRow]) -> list[RawRow]:
    """The rows up to the header row, which is the last of them; none if the sheet has no header."""
    passed = []
    for raw in islice(rows, SEARCHED_ROWS):
        if raw.number <= SEARCHED_ROWS:
            passed.append(raw)
            if is_header(raw):
                return passed
    return []


class _ProgressCounter:
    """Adds up the bytes read and reports progress."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def advance(self, byte_count: int) -> None:
        self._done += byte_count
        self._progress(self._done, self._total)

    def complete(self) -> None:
        self._progress(self._total, self._total)


def _delimited_sheet(path: Path, progress: Progress) -> Iterator[RawSheet]:
    counter = _ProgressCounter(path.stat().st_size, progress)
    yield RawSheet(CSV_SHEET, EPOCH_1900, read_csv_rows(path, counter.advance))


def _workbook_sheets(path: Path, progress: Progress) -> Iterator[RawSheet]:
    with closing(Workbook(path)) as workbook:
        counter = _ProgressCounter(path.stat().st_size, progress)
        for sheet in workbook.sheets:
            yield RawSheet(sheet.title, workbook.epoch, workbook.rows(sheet, counter.advance))
        counter.complete()


def _read_sheets(sheets: Iterator[RawSheet], today: date) -> Iterator[RosterRow | RowIssue]:
    seen = _SeenNumbers()
    header_found, row_count = False, 0
    for sheet in sheets:
        if not (first_rows := read_to_header(sheet.rows)):
            continue
        header_found = True
        header = match_header(sheet.name, first_rows[-1])
        yield from header.warnings(sheet.name)
        context = SheetContext(sheet.name, header, sheet.epoch, today)
        hidden = HiddenRows()
        for raw in sheet.rows:
            if header.is_blank(raw):
                continue
            row_count += 1
            if row_count > MAX_ROWS:
                raise RosterTooLarge(what_zh=f"超过{MAX_ROWS}行", what_en=f"beyond {MAX_ROWS} rows")
            hidden.count(raw)
            row, issues = check_row(context, raw)
            yield from issues
            if row is not None:
                repeats = seen.find_repetitions(context, row)
                yield from repeats
                if not repeats:
                    yield row
        yield from hidden.warnings(sheet.name)
    if not header_found:
        raise RosterHeaderMissing(rows=SEARCHED_ROWS)


class _SeenNumbers:
    """The first row of each ID number and student number, so that a finding can name it."""

    def __init__(self) -> None:
        self._people: dict[str, str] = {}
        self._numbers: dict[str, str] = {}

    def find_repetitions(self, context: SheetContext, row: RosterRow) -> list[RowIssue]:
        """One error for each number that an earlier row of the file already has."""
        here = f"{row.sheet}!{row.row}"
        issues = []
        first = self._people.setdefault(row.document_number, here)
        if first is not here:
            defect = repeated("person_repeated", "证件号", "document number", first)
            issues.append(_repetition(context, row, "document_number", row.document_number, defect))
        if row.student_number is not None:
            first = self._numbers.setdefault(row.student_number, here)
            if first is not here:
                defect = repeated("student_number_repeated", "学籍号", "student number", first)
                issues.append(_repetition(context, row, "student_number", row.student_number, defect))
        return issues


def _repetition(context: SheetContext, row: RosterRow, name: str, value: str, defect: Defect) -> RowIssue:
    column = context.header.fields.get(name)
    place = column or ColumnRef(-1, name, personal=True)
    return place.issue(context.sheet, row.row, value, defect, Severity.ERROR)

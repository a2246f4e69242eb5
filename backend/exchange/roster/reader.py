"""The way into a roster file: a stream of students and findings, and the summary that a person reads."""

import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path

from backend.exchange.roster.cells import RawRow
from backend.exchange.roster.csv_reader import delimited_rows
from backend.exchange.roster.errors import (
    RosterHeaderMissing,
    RosterKindUnsupported,
    RosterMissing,
    RosterTooLarge,
)
from backend.exchange.roster.header import SEARCHED_ROWS, is_header, match_header
from backend.exchange.roster.issues import Place, RowIssue, Severity, repeated
from backend.exchange.roster.rows import RosterRow, SheetContext, check_row
from backend.exchange.roster.xlsx_reader import EPOCH_1900, Progress, Workbook
from backend.people.identifiers import Defect

CSV_SHEET = "CSV"
"""What findings call the one sheet of a CSV file."""


MAX_ROWS = 1_048_576
"""Excel's own limit for a sheet, here for a file: it bounds the memory of the numbers seen."""


def quiet(_done: int, _total: int) -> None:
    """Progress for nobody."""


def read_roster(path: Path, *, today: date, progress: Progress = quiet) -> Iterator[RosterRow | RowIssue]:
    """Read `.xlsx` or `.csv`, row by row: findings of a row first, then the student unless an error keeps it out.

    Every visible sheet with a header row is read; sheets without one (notes, code lists) are passed over.
    Memory is bounded by the workbook's shared strings, its number of rows and the numbers seen, not by the cells.
    Raises the errors of `backend.exchange.roster.errors` for a file that cannot be used at all.
    """
    if not path.is_file():
        raise RosterMissing(name=path.name)
    suffix = path.suffix.lower()
    if suffix == ".csv":
        sheets = _delimited_sheet(path, progress)
    elif suffix == ".xlsx" and zipfile.is_zipfile(path):
        sheets = _workbook_sheets(path, progress)
    else:
        # An .xls renamed, or an .xlsx under a password, is an OLE file and no zip archive.
        raise RosterKindUnsupported(name=path.name)
    return _read_sheets(sheets, today)


@dataclass(frozen=True, slots=True)
class _Sheet:
    name: str
    epoch: date
    rows: Iterator[RawRow]


class _Gauge:
    """Adds up what is read and tells the watcher."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def advanced(self, taken: int) -> None:
        self._done += taken
        self._progress(self._done, self._total)

    def complete(self) -> None:
        self._progress(self._total, self._total)


def _delimited_sheet(path: Path, progress: Progress) -> Iterator[_Sheet]:
    gauge = _Gauge(path.stat().st_size, progress)
    yield _Sheet(CSV_SHEET, EPOCH_1900, delimited_rows(path, gauge.advanced))


def _workbook_sheets(path: Path, progress: Progress) -> Iterator[_Sheet]:
    with closing(Workbook(path)) as workbook:
        gauge = _Gauge(path.stat().st_size, progress)
        for sheet in workbook.sheets:
            yield _Sheet(sheet.title, workbook.epoch, workbook.rows(sheet, gauge.advanced))
        gauge.complete()


def _read_sheets(sheets: Iterator[_Sheet], today: date) -> Iterator[RosterRow | RowIssue]:
    seen = _SeenNumbers()
    found, taken = False, 0
    for sheet in sheets:
        titles = (raw for raw in islice(sheet.rows, SEARCHED_ROWS) if raw.number <= SEARCHED_ROWS)
        header_row = next((raw for raw in titles if is_header(raw)), None)
        if header_row is None:
            continue
        found = True
        header = match_header(sheet.name, header_row)
        yield from header.warnings(sheet.name)
        context = SheetContext(sheet.name, header, sheet.epoch, today)
        for raw in sheet.rows:
            taken += 1
            if taken > MAX_ROWS:
                raise RosterTooLarge(what_zh=f"超过{MAX_ROWS}行", what_en=f"beyond {MAX_ROWS} rows")
            row, issues = check_row(context, raw)
            yield from issues
            if row is not None:
                repeats = seen.judge(context, row)
                yield from repeats
                if not repeats:
                    yield row
    if not found:
        raise RosterHeaderMissing(rows=SEARCHED_ROWS)


class _SeenNumbers:
    """Where each ID number and student number first stood, so that a repetition names that row."""

    def __init__(self) -> None:
        self._people: dict[str, str] = {}
        self._numbers: dict[str, str] = {}

    def judge(self, context: SheetContext, row: RosterRow) -> list[RowIssue]:
        """An error for each number of the row that an earlier row of the file has."""
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
    place = column or Place(-1, name, personal=True)
    return place.issue(context.sheet, row.row, value, defect, Severity.ERROR)

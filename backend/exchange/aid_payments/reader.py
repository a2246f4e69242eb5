"""Reads a file of aid payments row by row and reports every error with sheet, row and column.

Columns are found by their headers: 学籍号, 资助项目, 月份, 金额（元）, 发放日期, and optionally 凭证号, which
distinguishes two payments of one day.
"""

import hashlib
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import partial
from itertools import islice
from pathlib import Path
from types import MappingProxyType

from backend.aid.payments import MAX_PAYMENT_FEN, MAX_REFERENCE_LENGTH
from backend.aid.rules import AidKind
from backend.core.match_keys import compact, is_blank, match_key
from backend.exchange.child_process import run_in_child_process
from backend.exchange.roster.cells import (
    RawRow,
    is_error,
    lost_precision,
    lost_zero,
    parse_day,
    parse_month,
    plain,
)
from backend.exchange.roster.csv_reader import read_csv_rows
from backend.exchange.roster.errors import (
    RosterColumnsMissing,
    RosterColumnsRepeated,
    RosterKindUnsupported,
    RosterTooLarge,
)
from backend.exchange.roster.header import SEARCHED_ROWS, normalise
from backend.exchange.roster.hidden_rows import HiddenRows
from backend.exchange.roster.issues import (
    BAD_DAY,
    BAD_MONTH,
    EXCEL_ERROR,
    MONTH_LOST_ZERO,
    PRECISION_LOST,
    REQUIRED,
    ColumnRef,
    RowIssue,
    Severity,
    not_in_list,
)
from backend.exchange.roster.reader import CSV_SHEET
from backend.exchange.roster.xlsx_reader import EPOCH_1900, Workbook
from backend.people.identifiers import Defect, parse_student_number

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "学籍号": "student_number",
        "学号": "student_number",
        "资助项目": "kind",
        "月份": "month",
        "金额": "fen",
        "金额元": "fen",
        "发放日期": "paid_on",
        "凭证号": "reference",
    }
)
REQUIRED_COLUMNS = MappingProxyType(
    {
        "student_number": "学籍号",
        "kind": "资助项目",
        "month": "月份",
        "fen": "金额（元）",
        "paid_on": "发放日期",
    }
)
KINDS = MappingProxyType(
    {
        "国家助学金": AidKind.GRANT,
        "助学金": AidKind.GRANT,
        "免学费": AidKind.TUITION_WAIVER,
        "免学费补助": AidKind.TUITION_WAIVER,
    }
)
MAX_ROWS = 20_000
MEMORY_LIMIT = 2**30
"""Memory limit in bytes for reading one file."""

BAD_AMOUNT = Defect(
    "amount_unreadable",
    "金额应为大于零、最多两位小数的元数，如 230.00，请改正。",
    "Enter the amount in yuan: greater than zero, with at most two decimals, such as 230.00.",
)
BAD_REFERENCE = Defect(
    "reference_too_long",
    f"凭证号不超过{MAX_REFERENCE_LENGTH}字，请缩短。",
    f"A reference may have at most {MAX_REFERENCE_LENGTH} characters; shorten it.",
)


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """A valid row: its position, the student number, and the payment."""

    sheet: str
    row: int
    student_number: str
    kind: AidKind
    month: date
    fen: int
    paid_on: date
    reference: str | None
    columns: Mapping[str, ColumnRef]


@dataclass(frozen=True, slots=True)
class PaymentFile:
    """The valid rows of a file, the issues of the others, the SHA-256 of the file, and warnings, which reject nothing."""

    rows: tuple[PaymentRow, ...]
    issues: tuple[RowIssue, ...]
    sha256: bytes
    warnings: tuple[RowIssue, ...] = ()


async def read_uploaded_payments(path: Path, *, today: date) -> PaymentFile:
    """Run `read_payments` in a child process with a memory limit."""
    return await run_in_child_process(partial(read_payments, path, today=today), MEMORY_LIMIT)


def read_payments(path: Path, *, today: date) -> PaymentFile:
    """Read every visible sheet with a header row from an `.xlsx` or `.csv` file.

    Raises the errors of `backend.exchange.roster.errors` if the file as a whole cannot be used.
    """
    rows: list[PaymentRow] = []
    issues: list[RowIssue] = []
    warnings: list[RowIssue] = []
    missing: RosterColumnsMissing | None = None
    has_header = False
    for name, epoch, raw_rows in _open_sheets(path):
        columns = None
        for raw in islice(raw_rows, SEARCHED_ROWS):
            columns = _match_columns(name, raw)
            if columns:
                break
        if not columns:
            continue
        missing_titles = [title for field, title in REQUIRED_COLUMNS.items() if field not in columns]
        if missing_titles:
            missing = RosterColumnsMissing(sheet=name, columns="、".join(missing_titles))
            continue
        has_header = True
        hidden = HiddenRows()
        for raw in raw_rows:
            if all(is_blank(raw.cells.get(column.index, "")) for column in columns.values()):
                continue
            hidden.count(raw)
            row, row_issues = _parse_row(_Sheet(name, columns, epoch, today), raw)
            issues += row_issues
            rows += [row] if row else []
            if len(rows) + len(issues) > MAX_ROWS:
                raise RosterTooLarge(what_zh=f"超过{MAX_ROWS}行", what_en=f"more than {MAX_ROWS} rows")
        warnings += hidden.warnings(name)
    if not has_header:
        raise missing or RosterColumnsMissing(sheet=path.name, columns="、".join(REQUIRED_COLUMNS.values()))
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").digest()
    return PaymentFile(tuple(rows), tuple(issues), sha256, tuple(warnings))


def _ignore_progress(_: int) -> None:
    """Do nothing: payment files are small."""


def _open_sheets(path: Path) -> Iterator[tuple[str, date, Iterator[RawRow]]]:
    """Yield the title, the date epoch and the rows of each sheet."""
    if path.suffix.lower() == ".csv":
        yield CSV_SHEET, EPOCH_1900, read_csv_rows(path, _ignore_progress)
    elif path.suffix.lower() == ".xlsx" and zipfile.is_zipfile(path):
        with closing(Workbook(path)) as workbook:
            for sheet in workbook.sheets:
                yield sheet.title, workbook.epoch, workbook.rows(sheet, _ignore_progress)
    else:
        raise RosterKindUnsupported(name=path.name)


@dataclass(frozen=True, slots=True)
class _Sheet:
    name: str
    columns: Mapping[str, ColumnRef]
    epoch: date
    today: date


def _match_columns(sheet: str, raw: RawRow) -> dict[str, ColumnRef] | None:
    """Return the columns by field if the row is a header: the student number and at least one other column."""
    columns: dict[str, ColumnRef] = {}
    for index, cell in raw.cells.items():
        field = HEADERS.get(normalise(cell))
        if field is None:
            continue
        if field in columns:
            raise RosterColumnsRepeated(sheet=sheet, columns=columns[field].header)
        columns[field] = ColumnRef(index, plain(cell)[:50], personal=field == "student_number")
    return columns if "student_number" in columns and len(columns) > 1 else None


def _parse_row(sheet: _Sheet, raw: RawRow) -> tuple[PaymentRow | None, list[RowIssue]]:
    parser = _RowParser(sheet, raw, [])
    number = parser.parse_student_number()
    kind = parser.parse_kind()
    month = parser.parse_month()
    fen = parser.parse_amount()
    paid_on = parser.parse_payment_day()
    reference = parser.parse_reference()
    if parser.issues or number is None or kind is None or month is None or fen is None or paid_on is None:
        return None, parser.issues
    row = PaymentRow(
        sheet.name, raw.number, number, kind, month, fen, paid_on, reference, dict(sheet.columns)
    )
    return row, []


@dataclass(slots=True)
class _RowParser:
    """Parses the cells of one row and collects the issues."""

    sheet: _Sheet
    raw: RawRow
    issues: list[RowIssue]

    def parse_student_number(self) -> str | None:
        text = self._number("student_number")
        if text is None:
            return None
        cell = self.raw.cells[self.sheet.columns["student_number"].index]
        if lost_precision(cell, text):
            self._add_issue("student_number", text, PRECISION_LOST)
            return None
        parsed = parse_student_number(text, id_number=None, today=self.sheet.today)
        if isinstance(parsed, Defect):
            self._add_issue("student_number", text, parsed)
            return None
        return parsed.number

    def parse_kind(self) -> AidKind | None:
        text = self._text("kind")
        if text is None:
            return None
        kind = KINDS.get(match_key(text))
        if kind is None:
            self._add_issue("kind", text, not_in_list(("国家助学金", "免学费")))
        return kind

    def parse_month(self) -> date | None:
        text = self._text("month")
        if text is None:
            return None
        if lost_zero(self.raw.cells[self.sheet.columns["month"].index], text):
            self._add_issue("month", text, MONTH_LOST_ZERO)
            return None
        month = parse_month(text, epoch=self.sheet.epoch)
        if month is None:
            self._add_issue("month", text, BAD_MONTH)
            return None
        return date.fromisoformat(f"{month}-01")

    def parse_amount(self) -> int | None:
        """Parse yuan with at most two decimals into fen; amounts are never rounded."""
        text = self._number("fen")
        if text is None:
            return None
        try:
            fen = Decimal(text.replace(",", "").removesuffix("元")) * 100
        except InvalidOperation:
            self._add_issue("fen", text, BAD_AMOUNT)
            return None
        if not fen.is_finite() or fen != fen.to_integral_value() or not 0 < fen <= MAX_PAYMENT_FEN:
            self._add_issue("fen", text, BAD_AMOUNT)
            return None
        return int(fen)

    def parse_payment_day(self) -> date | None:
        text = self._text("paid_on")
        if text is None:
            return None
        day = parse_day(text, epoch=self.sheet.epoch)
        if day is None:
            self._add_issue("paid_on", text, BAD_DAY)
        return day

    def parse_reference(self) -> str | None:
        column = self.sheet.columns.get("reference")
        text = plain(self.raw.cells.get(column.index, "")) if column else ""
        if len(text) > MAX_REFERENCE_LENGTH or "\x00" in text:
            self._add_issue("reference", text, BAD_REFERENCE)
        return text or None

    def _text(self, field: str) -> str | None:
        cell = self.raw.cells.get(self.sheet.columns[field].index, "")
        if is_error(cell):
            self._add_issue(field, cell, EXCEL_ERROR)
            return None
        text = plain(cell)
        if is_blank(text):
            self._add_issue(field, text, REQUIRED)
            return None
        return text

    def _number(self, field: str) -> str | None:
        text = self._text(field)
        return None if text is None else compact(text)

    def _add_issue(self, field: str, value: str, defect: Defect) -> None:
        column = self.sheet.columns[field]
        self.issues.append(column.issue(self.sheet.name, self.raw.number, value, defect, Severity.ERROR))

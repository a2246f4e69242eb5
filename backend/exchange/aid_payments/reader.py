"""Reading a school's file of payments of aid to its end, row by row, with every fault where it stands.

Columns are found by their headers: 学籍号, 资助项目, 月份, 金额（元）, 发放日期, and, where two payments of one day
must be told apart, 凭证号.
"""

import asyncio
import hashlib
import multiprocessing
import resource
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from backend.aid.rules import AidKind
from backend.core.errors import DomainError
from backend.exchange.roster.cells import (
    EXCEL_ERRORS,
    RawRow,
    half_width,
    lost_precision,
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
from backend.exchange.roster.issues import (
    BAD_DAY,
    BAD_MONTH,
    EXCEL_ERROR,
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
MANDATORY = MappingProxyType(
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
MOST_FEN = 100_000_000
"""A payment of a million yuan to one student is a slip of the pen."""
LONGEST_REFERENCE = 60
READING_MEMORY = 2**30
"""Bytes that reading one file may take."""

BAD_AMOUNT = Defect(
    "amount_unreadable",
    "金额应为大于零、最多两位小数的元数，如 230.00，请改正。",
    "The amount is yuan above zero with at most two decimals, such as 230.00.",
)
BAD_REFERENCE = Defect(
    "reference_too_long",
    f"凭证号不超过{LONGEST_REFERENCE}字，请缩短。",
    f"A reference has at most {LONGEST_REFERENCE} characters; shorten it.",
)


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """A row whose cells could be read: where it stands, whose number it names, and the payment without a student."""

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
    """A file that was read to its end: its sound rows, what is wrong with the others, and its SHA-256."""

    rows: tuple[PaymentRow, ...]
    issues: tuple[RowIssue, ...]
    sha256: bytes


async def read_upload(path: Path, *, today: date) -> PaymentFile:
    """`read_payments` in a process of its own, with a ceiling on its memory: a hostile row may be very long."""
    return await asyncio.to_thread(_read_in_child, path, today)


def _read_in_child(path: Path, today: date) -> PaymentFile:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as child:
        try:
            outcome = child.submit(_read_bounded, path, today).result()
        except BrokenProcessPool as killed:
            raise _TOO_MUCH from killed
    if isinstance(outcome, PaymentFile):
        return outcome
    refusal, params = outcome
    raise refusal(**params)


_TOO_MUCH = RosterTooLarge(what_zh="读取所需内存过多", what_en="reading it takes too much memory")


def _read_bounded(path: Path, today: date) -> PaymentFile | tuple[type[DomainError], dict[str, Any]]:
    """A refusal is returned as a value: an exception with named arguments does not survive pickling."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    ceiling = pages * resource.getpagesize() + READING_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
    try:
        return read_payments(path, today=today)
    except DomainError as refusal:
        return type(refusal), refusal.params
    except MemoryError:
        return RosterTooLarge, _TOO_MUCH.params


def read_payments(path: Path, *, today: date) -> PaymentFile:
    """Read `.xlsx` or `.csv` row by row; every visible sheet with the header row is read.

    Raises the errors of `backend.exchange.roster.errors` for a file that cannot be used at all.
    """
    rows: list[PaymentRow] = []
    issues: list[RowIssue] = []
    missing: RosterColumnsMissing | None = None
    found = False
    for name, epoch, raws in _sheets(path):
        columns = None
        for raw in islice(raws, SEARCHED_ROWS):
            columns = _columns(name, raw)
            if columns:
                break
        if not columns:
            continue
        lacking = [title for field, title in MANDATORY.items() if field not in columns]
        if lacking:
            missing = RosterColumnsMissing(sheet=name, columns="、".join(lacking))
            continue
        found = True
        for raw in raws:
            row, wrong = _row(_Sheet(name, columns, epoch, today), raw)
            issues += wrong
            rows += [row] if row else []
            if len(rows) + len(issues) > MAX_ROWS:
                raise RosterTooLarge(what_zh=f"超过{MAX_ROWS}行", what_en=f"beyond {MAX_ROWS} rows")
    if not found:
        raise missing or RosterColumnsMissing(sheet=path.name, columns="、".join(MANDATORY.values()))
    with path.open("rb") as stream:
        return PaymentFile(tuple(rows), tuple(issues), hashlib.file_digest(stream, "sha256").digest())


def _sheets(path: Path) -> Iterator[tuple[str, date, Iterator[RawRow]]]:
    def quiet(_: int) -> None:
        """Nobody watches."""

    if path.suffix.lower() == ".csv":
        yield CSV_SHEET, EPOCH_1900, read_csv_rows(path, quiet)
    elif path.suffix.lower() == ".xlsx" and zipfile.is_zipfile(path):
        with closing(Workbook(path)) as workbook:
            for sheet in workbook.sheets:
                yield sheet.title, workbook.epoch, workbook.rows(sheet, quiet)
    else:
        raise RosterKindUnsupported(name=path.name)


@dataclass(frozen=True, slots=True)
class _Sheet:
    name: str
    columns: Mapping[str, ColumnRef]
    epoch: date
    today: date


def _columns(sheet: str, raw: RawRow) -> dict[str, ColumnRef] | None:
    """The columns by field, if the row names the student number and one more."""
    found: dict[str, ColumnRef] = {}
    for index, cell in raw.cells.items():
        field = HEADERS.get(normalise(cell))
        if field is None:
            continue
        if field in found:
            raise RosterColumnsRepeated(sheet=sheet, columns=found[field].header)
        found[field] = ColumnRef(index, plain(cell)[:50], personal=field == "student_number")
    return found if "student_number" in found and len(found) > 1 else None


def _row(sheet: _Sheet, raw: RawRow) -> tuple[PaymentRow | None, list[RowIssue]]:
    reader = _Reader(sheet, raw, [])
    number = reader.number()
    kind = reader.kind()
    month = reader.month()
    fen = reader.fen()
    paid_on = reader.paid_on()
    reference = reader.reference()
    if reader.issues or number is None or kind is None or month is None or fen is None or paid_on is None:
        return None, reader.issues
    row = PaymentRow(
        sheet.name, raw.number, number, kind, month, fen, paid_on, reference, dict(sheet.columns)
    )
    return row, []


@dataclass(slots=True)
class _Reader:
    """Reads the cells of one row and collects what is wrong with them."""

    sheet: _Sheet
    raw: RawRow
    issues: list[RowIssue]

    def number(self) -> str | None:
        text = self._text("student_number")
        if text is None:
            return None
        cell = self.raw.cells[self.sheet.columns["student_number"].index]
        if lost_precision(cell, text):
            self._wrong("student_number", text, PRECISION_LOST)
            return None
        parsed = parse_student_number(text, id_number=None, today=self.sheet.today)
        if isinstance(parsed, Defect):
            self._wrong("student_number", text, parsed)
            return None
        return parsed.number

    def kind(self) -> AidKind | None:
        text = self._text("kind")
        if text is None:
            return None
        kind = KINDS.get(text)
        if kind is None:
            self._wrong("kind", text, not_in_list(("国家助学金", "免学费")))
        return kind

    def month(self) -> date | None:
        text = self._text("month")
        if text is None:
            return None
        month = parse_month(text, epoch=self.sheet.epoch)
        if month is None:
            self._wrong("month", text, BAD_MONTH)
            return None
        return date.fromisoformat(f"{month}-01")

    def fen(self) -> int | None:
        """Yuan with at most two decimals, as whole fen; no amount is rounded."""
        text = self._text("fen")
        if text is None:
            return None
        try:
            fen = Decimal(text.replace(",", "").removesuffix("元")) * 100
        except InvalidOperation:
            self._wrong("fen", text, BAD_AMOUNT)
            return None
        if not fen.is_finite() or fen != fen.to_integral_value() or not 0 < fen <= MOST_FEN:
            self._wrong("fen", text, BAD_AMOUNT)
            return None
        return int(fen)

    def paid_on(self) -> date | None:
        text = self._text("paid_on")
        if text is None:
            return None
        day = parse_day(text, epoch=self.sheet.epoch)
        if day is None:
            self._wrong("paid_on", text, BAD_DAY)
        return day

    def reference(self) -> str | None:
        place = self.sheet.columns.get("reference")
        text = plain(self.raw.cells.get(place.index, "")) if place else ""
        if len(text) > LONGEST_REFERENCE or "\x00" in text:
            self._wrong("reference", text, BAD_REFERENCE)
        return text or None

    def _text(self, field: str) -> str | None:
        text = half_width(plain(self.raw.cells.get(self.sheet.columns[field].index, "")))
        if not text:
            self._wrong(field, text, REQUIRED)
            return None
        if text in EXCEL_ERRORS:
            self._wrong(field, text, EXCEL_ERROR)
            return None
        return text

    def _wrong(self, field: str, value: str, defect: Defect) -> None:
        place = self.sheet.columns[field]
        self.issues.append(place.issue(self.sheet.name, self.raw.number, value, defect, Severity.ERROR))

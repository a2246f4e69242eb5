"""Writes an uploaded roster again as a workbook in which the faulty cells are marked, so that a school can mend them there.

The first sheet lists the findings. Every sheet with a header row follows, with the values of the upload at the same places;
colours and column widths of the upload are not kept. No cell is a formula. Uploading the annotated workbook again gives the
same findings: its first sheet has no header row and is not read.
"""

import math
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import chain
from pathlib import Path

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from backend.core.match_keys import decode_cell, visible
from backend.core.web.workbook import FORMULA_PREFIXES, literal_text
from backend.exchange.child_process import run_in_child_process
from backend.exchange.roster.cells import (
    EXCEL_ERRORS,
    FIRST_SERIAL,
    LAST_SERIAL,
    ErrorCell,
    Numeric,
    RawRow,
    lost_zero,
    plain,
)
from backend.exchange.roster.header import Header, match_header
from backend.exchange.roster.issues import RowIssue, Severity
from backend.exchange.roster.reader import open_sheets, read_roster, read_to_header
from backend.exchange.roster.summary import RosterSummary
from backend.exchange.roster.validation import MEMORY_LIMIT
from backend.exchange.roster.xlsx_reader import EPOCH_1904

MAX_MARKED = 5_000
"""Findings of each severity that are listed and marked. A program that opens the file holds all comments in memory."""

FINDINGS_SHEET = "检查结果 Findings"
FINDING_COLUMNS = (
    ("工作表 Sheet", 14),
    ("单元格 Cell", 12),
    ("级别 Severity", 14),
    ("列 Column", 16),
    ("内容 Value", 22),
    ("代码 Code", 26),
    ("问题与改法", 56),
    ("What to do", 56),
)
SEVERITIES = {Severity.ERROR: "错误 error", Severity.WARNING: "提醒 warning"}
FILLS = {Severity.ERROR: "#FFC7CE", Severity.WARNING: "#FFEB9C"}

_DAY_FORMATS = {"birth_date": "yyyy-mm-dd", "entry_month": "yyyy-mm"}
"""How a serial date of these fields is shown."""
_MAX_SHEET_NAME = 31
_UNFIT_FOR_SHEET_NAMES = re.compile(r"[\[\]:*?/\\\x00-\x1f]")
_COMMENT_WIDTH, _COMMENT_LINE, _CHARACTERS_A_LINE = 340, 18, 24
"""Pixels; a line of the width holds so many Chinese characters."""

Place = tuple[int, str]
"""Row number and column letter, as the spreadsheet program shows them."""


async def annotate_upload(upload: Path, target: Path, *, today: date) -> None:
    """Run `annotate_roster` in a child process with a memory limit. Raises what `read_roster` raises."""
    await run_in_child_process(partial(annotate_roster, upload, target, today=today), MEMORY_LIMIT)


def annotate_roster(upload: Path, target: Path, *, today: date) -> None:
    """Write the annotated workbook of `upload` to `target`. The file is read twice and never held in memory.

    Raises what `read_roster` raises.
    """
    summary = RosterSummary(shown=MAX_MARKED)
    for item in read_roster(upload, today=today):
        summary.add(item)
    sheets = open_sheets(upload)
    first = next(sheets)  # `read_roster` has found a header in one of them
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "date_1904": first.epoch == EPOCH_1904,
        "tmpdir": str(target.parent),
    }
    with target.open("wb") as stream, closing(Workbook(stream, options)) as book:
        writer = _AnnotatedWorkbook(book, summary)
        for sheet in chain([first], sheets):
            if leading := read_to_header(sheet.rows):
                writer.add_sheet(sheet.name, leading, sheet.rows)
        writer.list_findings()


@dataclass(frozen=True, slots=True)
class _Look:
    """What a cell looks like."""

    fill: str | None = None
    number_format: str = "@"
    is_header: bool = False
    is_quoted: bool = False


class _AnnotatedWorkbook:
    """The workbook being written: the sheets of the upload in turn, then the list of findings, which is shown first."""

    def __init__(self, book: Workbook, summary: RosterSummary) -> None:
        self._book = book
        self._summary = summary
        self._findings: list[RowIssue] = [*summary.first_errors, *summary.first_warnings]
        self._formats: dict[_Look, Format] = {}
        self._list = book.add_worksheet(FINDINGS_SHEET)
        self._names: dict[str, str] = {}
        """Sheet of the upload → sheet of this workbook."""
        self._hidden: set[tuple[str, int]] = set()

    def add_sheet(self, name: str, leading: list[RawRow], rows: Iterator[RawRow]) -> None:
        """Copy a sheet; the last of the `leading` rows is its header, `rows` follow it."""
        self._names[name] = self._fit_name(name)
        sheet = self._book.add_worksheet(self._names[name])
        header = match_header(name, leading[-1])
        sheet.set_column(0, max(leading[-1].cells), 16, self._format(_Look()))
        sheet.freeze_panes(header.row, 0)
        places: dict[int, dict[int, list[RowIssue]]] = {}
        for each in self._findings:
            if each.sheet == name and each.letter:
                places.setdefault(each.row, {}).setdefault(_column_index(each.letter), []).append(each)
        for raw in chain(leading, rows):
            if raw.hidden:
                sheet.set_row(raw.number - 1, None, None, {"hidden": True})
                self._hidden.add((name, raw.number))
            self._write_row(sheet, header, raw, places.get(raw.number, {}))

    def _fit_name(self, name: str) -> str:
        """A name that spreadsheet programs accept and no other sheet has."""
        fit = _UNFIT_FOR_SHEET_NAMES.sub("_", name).strip("'")[:_MAX_SHEET_NAME] or "_"
        taken = {sheet.name.casefold() for sheet in self._book.worksheets()}
        number, unique = 1, fit
        while unique.casefold() in taken:
            number += 1
            unique = f"{fit[: _MAX_SHEET_NAME - 6]}~{number}"
        return unique

    def _write_row(
        self, sheet: Worksheet, header: Header, raw: RawRow, found: dict[int, list[RowIssue]]
    ) -> None:
        fields = {place.index: field for field, place in header.fields.items()}
        for index in sorted(raw.cells.keys() | found):
            issues = found.get(index, [])
            look = _Look(_fill(issues), is_header=raw.number == header.row)
            self._write_cell(sheet, raw.number - 1, index, raw.cells.get(index, ""), look, fields.get(index))
            if issues:
                _comment(sheet, raw.number - 1, index, issues)

    def _write_cell(
        self, sheet: Worksheet, row: int, index: int, cell: str, look: _Look, field: str | None
    ) -> None:
        text = _stored_text(cell)
        number = _stored_number(cell, text)
        if not text:
            sheet.write_blank(row, index, None, self._format(look))
        elif number is not None:
            shown = _DAY_FORMATS.get(field or "", "General") if _is_serial(text) else "General"
            sheet.write_number(row, index, number, self._format(_Look(look.fill, shown, look.is_header)))
        else:
            quoted = text.startswith(FORMULA_PREFIXES)
            written = _Look(look.fill, is_header=look.is_header, is_quoted=quoted)
            sheet.write_string(row, index, literal_text(text), self._format(written))

    def _format(self, look: _Look) -> Format:
        if look not in self._formats:
            properties = {
                "num_format": look.number_format,
                "bold": look.is_header,
                "quote_prefix": look.is_quoted,
            }
            if look.fill:
                properties |= {"bg_color": look.fill, "border": 1, "border_color": "#9C0006"}
            self._formats[look] = self._book.add_format(properties)
        return self._formats[look]

    def list_findings(self) -> None:
        """Fill the first sheet: what was found, and a link to each cell."""
        wrap = self._book.add_format({"text_wrap": True, "valign": "top", "num_format": "@"})
        bold = self._book.add_format({"bold": True, "num_format": "@"})
        for index, (_, width) in enumerate(FINDING_COLUMNS):
            self._list.set_column(index, index, width, wrap)
        lines = self._describe()
        heading = len(lines) + 1
        for row, line in enumerate(lines):
            self._list.write_string(row, 0, line, bold)
        for index, (title, _) in enumerate(FINDING_COLUMNS):
            self._list.write_string(heading, index, title, bold)
        for row, each in enumerate(self._findings, start=heading + 1):
            self._list_finding(row, each, wrap)
        if self._findings:
            self._list.autofilter(heading, 0, heading + len(self._findings), len(FINDING_COLUMNS) - 1)
        self._list.freeze_panes(heading + 1, 2)
        self._list.set_landscape()
        self._list.fit_to_pages(1, 0)

    def _list_finding(self, row: int, each: RowIssue, wrap: Format) -> None:
        hidden = (each.sheet, each.row) in self._hidden
        sheet = self._names[each.sheet].replace("'", "''")
        cell = f"{each.letter or 'A'}{each.row}"
        shown = f"{each.letter}{each.row}" if each.letter else f"第{each.row}行 row {each.row}"
        texts = (
            each.sheet,
            None,
            SEVERITIES[each.severity],
            each.column,
            each.value,
            each.code,
            each.zh,
            each.en,
        )
        for index, text in enumerate(texts):
            if text:
                self._list.write_string(row, index, literal_text(text), wrap)
        title = f"{shown}（隐藏 hidden）" if hidden else shown
        self._list.write_url(row, 1, f"internal:'{sheet}'!{cell}", string=title)

    def _describe(self) -> list[str]:
        errors, warnings = self._summary.errors.total(), self._summary.warnings.total()
        bad, students = self._summary.rows_with_errors, self._summary.students
        lines = [
            f"花名册检查结果：{students} 名学生可以导入；错误 {errors} 处（{bad} 行，红色），提醒 {warnings} 处（黄色）。",
            "改正标出的单元格后，可直接上传本文件。",
            f"Findings: {students} students can be imported; {errors} errors in {bad} rows (red), {warnings} warnings (yellow).",
            "Mend the marked cells and upload this file.",
        ]
        if max(errors, warnings) > MAX_MARKED:
            lines.append(
                f"错误和提醒各只列出并标出前 {MAX_MARKED} 处。 Only the first {MAX_MARKED} errors and warnings are marked."
            )
        return lines


def _column_index(letter: str) -> int:
    index = 0
    for character in letter:
        index = index * 26 + ord(character) - ord("A") + 1
    return index - 1


def _stored_text(cell: str) -> str:
    """What the cell says. An error in another language is written as one that every program knows."""
    if isinstance(cell, ErrorCell):
        return cell if cell in EXCEL_ERRORS else "#N/A"
    return plain(cell) if isinstance(cell, Numeric) else decode_cell(cell)


def _stored_number(cell: str, text: str) -> float | None:
    """The number, if the file stores one or shows one that it has cut: as text it would be read otherwise."""
    if not isinstance(cell, Numeric) and not lost_zero(cell, text):
        return None
    try:
        number = float(visible(text))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _fill(issues: list[RowIssue]) -> str | None:
    if not issues:
        return None
    is_error = any(each.severity is Severity.ERROR for each in issues)
    return FILLS[Severity.ERROR if is_error else Severity.WARNING]


def _is_serial(text: str) -> bool:
    return text.isdecimal() and FIRST_SERIAL <= int(text) <= LAST_SERIAL


def _comment(sheet: Worksheet, row: int, index: int, issues: list[RowIssue]) -> None:
    text = "\n\n".join(f"{each.code}\n{each.zh}\n{each.en}" for each in issues)
    lines = sum(1 + len(line.encode()) // (2 * _CHARACTERS_A_LINE) for line in text.split("\n"))
    options = {"width": _COMMENT_WIDTH, "height": (lines + 1) * _COMMENT_LINE, "author": "点名 Dianming"}
    sheet.write_comment(row, index, text, options)

"""Writes the template, empty for a school to fill in or filled with records."""

import csv
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import IO

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from backend.exchange.roster.template import Column, Template, load_order, load_template

SHEET = "学生信息"
NOTES = "填写说明"
LISTED_ROWS = 5_000
"""Number of rows with drop-down lists in the empty template."""

FORMATS = ("xlsx", "csv-utf8", "csv-gb18030")

Record = Mapping[str, str]
"""One student: canonical header → cell text."""

_ADVICE = (
    "带*的列必须有，且每行必填；其他列可以为空或删去。列的先后顺序不限，请不要改动表头文字。",
    "证件号、学籍号、电话等号码列已设为“文本”格式；若从别处粘贴，请只粘贴值，否则末几位可能丢失。",
    "日期写成 20080131，年月写成 202409。每名学生一行，不要合并单元格。",
    "Columns with * must be there and filled. Any order will do; do not change the headers. Keep numbers as text.",
)


def write_roster(path: Path, records: Iterable[Record], *, variant: str, form: str) -> int:
    """Write records in a variant of the template; returns their number. Memory use is constant."""
    order = load_order(variant)
    if form == "xlsx":
        return _write_workbook(path, records, order)
    return _write_delimited(path, records, order, "utf-8-sig" if form == "csv-utf8" else "gb18030")


def write_template(path: Path, *, variant: str) -> None:
    """Write the empty template, with drop-down lists for coded columns and a sheet of instructions."""
    with path.open("wb") as stream, closing(_open_workbook(stream)) as workbook:
        template = load_template()
        order = load_order(variant)
        sheet = _start_sheet(workbook, order)
        _add_drop_down_lists(sheet, template, order)
        _write_notes(workbook.add_worksheet(NOTES), template, order)


def _open_workbook(stream: IO[bytes]) -> Workbook:
    options = {
        "constant_memory": True,
        # Store cells that begin with = or look like links as text.
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    return Workbook(stream, options)


def _start_sheet(workbook: Workbook, order: tuple[str, ...]) -> Worksheet:
    text: Format = workbook.add_format({"num_format": "@"})
    bold: Format = workbook.add_format({"bold": True, "num_format": "@"})
    sheet = workbook.add_worksheet(SHEET)
    sheet.set_column(0, len(order) - 1, 16, text)
    mandatory = {column.name for column in load_template().mandatory()}
    for index, header in enumerate(order):
        sheet.write_string(0, index, f"*{header}" if header in mandatory else header, bold)
    sheet.freeze_panes(1, 1)
    return sheet


def _write_workbook(path: Path, records: Iterable[Record], order: tuple[str, ...]) -> int:
    count = 0
    with path.open("wb") as stream, closing(_open_workbook(stream)) as workbook:
        sheet = _start_sheet(workbook, order)
        for count, record in enumerate(records, start=1):
            for index, header in enumerate(order):
                if text := record.get(header):
                    sheet.write_string(count, index, text)
    return count


def _write_delimited(path: Path, records: Iterable[Record], order: tuple[str, ...], encoding: str) -> int:
    count = 0
    with path.open("w", encoding=encoding, newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(order)
        for record in records:
            count += 1
            writer.writerow([_escape_formula(record.get(header, "")) for header in order])
    return count


def _escape_formula(text: str) -> str:
    """Prefix text that a spreadsheet program would run as a formula; the reader removes the apostrophe."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _choices(template: Template, column: Column) -> list[str]:
    field = "is_guardian" if (column.field or "").endswith("is_guardian") else column.field
    return [texts[0] for texts in template.values.get(field or "", {}).values()]


def _add_drop_down_lists(sheet: Worksheet, template: Template, order: tuple[str, ...]) -> None:
    columns = {column.name: column for column in template.columns}
    for index, header in enumerate(order):
        if choices := _choices(template, columns[header]):
            sheet.data_validation(1, index, LISTED_ROWS, index, {"validate": "list", "source": choices})


def _write_notes(sheet: Worksheet, template: Template, order: tuple[str, ...]) -> None:
    columns = {column.name: column for column in template.columns}
    lines: list[tuple[str, ...]] = [(advice,) for advice in _ADVICE]
    lines += [
        (
            "",
            header,
            "必填" if columns[header].mandatory else "选填",
            "、".join(_choices(template, columns[header])),
        )
        for header in order
    ]
    for row, line in enumerate(lines):
        for index, text in enumerate(line):
            sheet.write_string(row, index, text)

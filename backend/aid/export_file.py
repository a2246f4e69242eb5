"""Writes the file for the aid office: fixed columns, as a workbook or CSV, with a watermark in every row."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from io import BytesIO, StringIO
from uuid import UUID

from xlsxwriter import Workbook

from backend.aid.money import format_yuan
from backend.core.clock import legal_day
from backend.core.web.workbook import literal_text

COLUMNS = (
    "序号",
    "事项",
    "学校标识码",
    "学校名称",
    "学籍号",
    "姓名",
    "学期",
    "资助项目",
    "月份",
    "核定金额（元）",
    "已发放金额（元）",
    "撤回或恢复金额（元）",
    "学籍异动",
    "异动日期",
    "申请编号",
    "导出编号",
    "导出责任人",
    "用途",
)
"""The last three are the watermark: the export, its owner and its purpose (MOE14-5)."""

SHEET = "资助撤回与恢复"
_FILING_KINDS = {"withdrawal": "撤回", "reinstatement": "恢复"}
_AID_KINDS = {"grant": "国家助学金", "tuition_waiver": "免学费"}
_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One instalment of a filing. Amounts in fen."""

    filing_id: UUID
    filing_kind: str
    school_code: str
    school_name: str
    student_number: str
    name: str
    term_code: str
    aid_kind: str
    month: date
    granted: int
    paid: int
    fen: int
    change: str
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Watermark:
    """Identifies the export and its owner in every row."""

    export_id: UUID
    owner: str
    purpose: str


def write_workbook(rows: Sequence[ExportRow], watermark: Watermark) -> bytes:
    """Write an .xlsx file. Every cell is text, so that no number loses digits and no cell is a formula."""
    stream = BytesIO()
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with Workbook(stream, options) as book:
        sheet = book.add_worksheet(SHEET)
        sheet.set_column(0, len(COLUMNS) - 1, 18, book.add_format({"num_format": "@"}))
        sheet.freeze_panes(1, 0)
        sheet.set_footer(f"&L{watermark.export_id}&R{watermark.owner.replace('&', '&&')}")
        for row_number, cells in enumerate(_format_rows(rows, watermark)):
            for column, cell in enumerate(cells):
                sheet.write_string(row_number, column, literal_text(cell))
    return stream.getvalue()


def write_csv(rows: Sequence[ExportRow], watermark: Watermark) -> bytes:
    """Write a CSV file in UTF-8 with a byte order mark for Excel. Cells that look like formulas are quoted."""
    text = StringIO(newline="")
    writer = csv.writer(text)
    for cells in _format_rows(rows, watermark):
        writer.writerow([f"'{cell}" if cell.startswith(_FORMULA_PREFIXES) else cell for cell in cells])
    return text.getvalue().encode("utf-8-sig")


def _format_rows(rows: Sequence[ExportRow], watermark: Watermark) -> Iterable[Sequence[str]]:
    yield COLUMNS
    for number, row in enumerate(rows, start=1):
        yield (
            str(number),
            _FILING_KINDS[row.filing_kind],
            row.school_code,
            row.school_name,
            row.student_number,
            row.name,
            row.term_code,
            _AID_KINDS[row.aid_kind],
            row.month.strftime("%Y-%m"),
            format_yuan(row.granted),
            format_yuan(row.paid),
            format_yuan(row.fen),
            row.change,
            legal_day(row.changed_at).isoformat(),
            str(row.filing_id),
            str(watermark.export_id),
            watermark.owner,
            watermark.purpose,
        )

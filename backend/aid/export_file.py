"""The file for the aid office: fixed columns, as a workbook or as CSV, marked with who answers for it."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from io import BytesIO, StringIO
from uuid import UUID

from xlsxwriter import Workbook

from backend.core.clock import legal_day

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
    "学籍变动",
    "变动日期",
    "申请编号",
    "导出编号",
    "导出责任人",
    "用途",
)
"""The last three mark every row with the export, its owner and its purpose (MOE14-5)."""

SHEET = "资助撤回与恢复"
_FILINGS = {"withdrawal": "撤回", "reinstatement": "恢复"}
_KINDS = {"grant": "国家助学金", "tuition_waiver": "免学费"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class ExportedLine:
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
class Mark:
    """What every row is marked with."""

    export_id: UUID
    owner: str
    purpose: str


def yuan(fen: int) -> str:
    """`12345` fen → `123.45`."""
    return f"{fen // 100}.{fen % 100:02d}"


def workbook(lines: Sequence[ExportedLine], mark: Mark) -> bytes:
    """An .xlsx file in which every cell is text, so that no number loses a digit and none is a formula."""
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
        sheet.set_footer(f"&L{mark.export_id}&R{mark.owner.replace('&', '&&')}")
        for row, cells in enumerate(_rows(lines, mark)):
            for column, cell in enumerate(cells):
                sheet.write_string(row, column, cell)
    return stream.getvalue()


def delimited(lines: Sequence[ExportedLine], mark: Mark) -> bytes:
    """The same as CSV in UTF-8, which Excel recognises by its mark; no cell opens as a formula."""
    text = StringIO(newline="")
    writer = csv.writer(text)
    for cells in _rows(lines, mark):
        writer.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
    return text.getvalue().encode("utf-8-sig")


def _rows(lines: Sequence[ExportedLine], mark: Mark) -> Iterable[Sequence[str]]:
    yield COLUMNS
    for number, line in enumerate(lines, start=1):
        yield (
            str(number),
            _FILINGS[line.filing_kind],
            line.school_code,
            line.school_name,
            line.student_number,
            line.name,
            line.term_code,
            _KINDS[line.aid_kind],
            line.month.strftime("%Y-%m"),
            yuan(line.granted),
            yuan(line.paid),
            yuan(line.fen),
            line.change,
            legal_day(line.changed_at).isoformat(),
            str(line.filing_id),
            str(mark.export_id),
            mark.owner,
            mark.purpose,
        )

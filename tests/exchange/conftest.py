from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from xlsxwriter import Workbook

from backend.core.ids import new_id
from backend.exchange.roster.generator import generate_students, plan_school
from backend.exchange.roster.issues import RowIssue
from backend.exchange.roster.reader import read_roster
from backend.exchange.roster.rows import RosterRow

TODAY = date(2026, 11, 21)

SheetWriter = Callable[[Sequence[Sequence[object]]], Path]
RecordsWriter = Callable[..., Path]


@pytest.fixture
def records() -> list[dict[str, str]]:
    """Return a class of forty generated students, unique in the database, as dicts that a test may modify."""
    plan = plan_school("4141000001", "示例职业学校（虚构）", students=40, part_time_classes=0)
    return [dict(record) for record in generate_students(new_id().int % 2**32, [plan])]


@pytest.fixture
def write_sheet(tmp_path: Path) -> SheetWriter:
    """Write rows of cells to a workbook; a float becomes a numeric cell, a string a text cell."""

    def write(rows: Sequence[Sequence[object]]) -> Path:
        path = tmp_path / "sheet.xlsx"
        with closing(Workbook(str(path))) as workbook:
            sheet = workbook.add_worksheet("学生")
            for number, row in enumerate(rows):
                for index, cell in enumerate(row):
                    if isinstance(cell, str):
                        sheet.write_string(number, index, cell)
                    elif cell is not None:
                        sheet.write(number, index, cell)
        return path

    return write


@pytest.fixture
def write_records(write_sheet: SheetWriter) -> RecordsWriter:
    """Write records under their headers; a value that is a float becomes a numeric cell."""

    def write(records: Sequence[Mapping[str, object]]) -> Path:
        headers = list(records[0])
        return write_sheet([headers, *([record.get(header) for header in headers] for record in records)])

    return write


def _read_file(path: Path) -> tuple[list[RosterRow], list[RowIssue]]:
    rows, issues = [], []
    for item in read_roster(path, today=TODAY):
        if isinstance(item, RosterRow):
            rows.append(item)
        else:
            issues.append(item)
    return rows, issues


@pytest.fixture
def read_file() -> Callable[[Path], tuple[list[RosterRow], list[RowIssue]]]:
    """Read a file into its students and its findings."""
    return _read_file

"""Cells that programs spoiled are errors by cell, and what only looks unusual is read: files that offices really send."""

import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

import pytest
from openpyxl import Workbook as OpenpyxlWorkbook
from openpyxl import load_workbook
from openpyxl.worksheet.worksheet import Worksheet

from backend.exchange.roster import strict_ooxml
from backend.exchange.roster.issues import RowIssue
from backend.exchange.roster.person_names import find_name_defect
from backend.exchange.roster.rows import RosterRow
from backend.exchange.roster.strict_ooxml import is_strict

Records = list[dict[str, str]]
Writer = Callable[[Sequence[Mapping[str, object]]], Path]
Reader = Callable[[Path], tuple[list[RosterRow], list[RowIssue]]]
Findings = list[tuple[str, int, str]]


def findings(issues: list[RowIssue]) -> Findings:
    return [(issue.code, issue.row, issue.column) for issue in issues]


def sheet_of(book: OpenpyxlWorkbook) -> Worksheet:
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    return sheet


def write_workbook(path: Path, records: Records) -> OpenpyxlWorkbook:
    """A workbook as Excel stores it, which a test changes before it saves it under `path`."""
    book = OpenpyxlWorkbook()
    sheet = sheet_of(book)
    sheet.append(list(records[0]))
    for record in records:
        sheet.append(list(record.values()))
    book.save(path)
    return load_workbook(path)


def column(records: Records, header: str) -> int:
    return list(records[0]).index(header) + 1


@pytest.mark.parametrize("written", ["2011-03-03 00:00:00", "2011/3/3 0:00", "2011年3月3日 0:00:00"])
def test_birth_date_with_midnight_is_read(
    records: Records, write_records: Writer, read_file: Reader, written: str
) -> None:
    number = records[0]["身份证件号"]
    born = date.fromisoformat(number[6:14])
    text = written.replace("2011", str(born.year)).replace("03-03", f"{born:%m-%d}")
    text = text.replace("/3/3", f"/{born.month}/{born.day}").replace(
        "年3月3日", f"年{born.month}月{born.day}日"
    )
    rows, issues = read_file(write_records([{**records[0], "出生日期": text}]))
    assert issues == []
    assert [row.birth_date for row in rows] == [born]


def test_dates_are_read_under_a_date_format(records: Records, tmp_path: Path, read_file: Reader) -> None:
    """Eight digits stored as a number under a date format, and a real date."""
    path = tmp_path / "dates.xlsx"
    book = write_workbook(path, records[:2])
    cells = [sheet_of(book).cell(row, column(records, "出生日期")) for row in (2, 3)]
    cells[0].value, cells[0].number_format = int(records[0]["出生日期"]), "yyyy-mm-dd"
    cells[1].value = datetime.combine(date.fromisoformat(records[1]["出生日期"]), datetime.min.time())
    book.save(path)
    rows, issues = read_file(path)
    assert issues == []
    assert [f"{row.birth_date:%Y%m%d}" for row in rows] == [record["出生日期"] for record in records[:2]]


def test_month_stored_as_a_number_without_its_zero_is_refused(
    records: Records, write_records: Writer, read_file: Reader
) -> None:
    rows, issues = read_file(write_records([{**records[0], "入学年月": 2026.10}]))
    assert rows == []
    assert findings(issues) == [("month_lost_zero", 2, "入学年月")]


def test_month_as_typed_text_is_read(records: Records, write_records: Writer, read_file: Reader) -> None:
    rows, issues = read_file(write_records([{**records[0], "入学年月": "2026.1"}]))
    assert issues == []
    assert rows[0].entry_month == "2026-01"


@pytest.mark.parametrize("value", ["#N/A", "#SPILL!", "#错误!"])
@pytest.mark.parametrize("header", ["姓名", "联系电话", "家庭现地址", "成员1姓名"])
def test_every_error_cell_is_an_error(
    records: Records, tmp_path: Path, read_file: Reader, header: str, value: str
) -> None:
    path = tmp_path / "errors.xlsx"
    book = write_workbook(path, records[:2])
    cell = sheet_of(book).cell(2, column(records, header))
    cell.value = value
    cell.data_type = "e"
    book.save(path)
    rows, issues = read_file(path)
    assert findings(issues) == [("cell_is_error", 2, header)]
    assert [row.row for row in rows] == [3]


@pytest.mark.parametrize("name", ["李?", "王？霖", "张\ufffd", "陈\ue863", "赵\U000f0001", "孙□", "周*三"])
def test_name_with_a_lost_character_is_an_error(
    records: Records, write_records: Writer, read_file: Reader, name: str
) -> None:
    rows, issues = read_file(write_records([{**records[0], "姓名": name}, records[1]]))
    assert findings(issues) == [("name_garbled", 2, "姓名")]
    assert [row.row for row in rows] == [3]


@pytest.mark.parametrize(
    "name",
    [
        "null",
        "NULL",
        "nan",
        "NaN",
        "None",
        "-",
        "--",
        "—",
        "N/A",
        "ｎｕｌｌ",
        "/",
        "无",
        "未知",
        "undefined",
        ".",
        "·",
    ],
)
def test_name_that_is_a_mark_for_an_empty_value_is_an_error(
    records: Records, write_records: Writer, read_file: Reader, name: str
) -> None:
    rows, issues = read_file(write_records([{**records[0], "姓名": name}]))
    assert rows == []
    assert findings(issues) == [("name_placeholder", 2, "姓名")]


@pytest.mark.parametrize(
    "name",
    [
        "Anne-Marie",
        "Nan",
        "NAN",
        "Na",
        "O'Neil",
        "阿卜杜拉·买买提",
        "王䶮",
        "李𬭎",
        "赵\U00031350",
        "Nulla",
        "空海",
        "吴未知",
    ],
)
def test_unusual_name_is_read(records: Records, write_records: Writer, read_file: Reader, name: str) -> None:
    rows, issues = read_file(write_records([{**records[0], "姓名": name}]))
    assert issues == []
    assert [row.name for row in rows] == [name]
    assert find_name_defect(name) is None


def test_members_name_is_checked_too(records: Records, write_records: Writer, read_file: Reader) -> None:
    changed = [{**records[0], "成员1姓名": "无"}, {**records[1], "成员1姓名": "王?"}]
    rows, issues = read_file(write_records(changed))
    assert findings(issues) == [("name_placeholder", 2, "成员1姓名"), ("name_garbled", 3, "成员1姓名")]
    assert [(row.row, row.members) for row in rows] == [(2, ())]


@pytest.mark.parametrize(
    ("code", "character"),
    [
        ("FE59", "龴"),
        ("FE61", "龵"),
        ("FEA0", "龻"),
        ("82359037", "龴"),
        ("FE9F", "䶮"),
        ("A6D9", "︐"),
        ("A6F3", "︙"),
    ],
)
def test_gb18030_codes_have_todays_characters(
    records: Records, tmp_path: Path, read_file: Reader, code: str, character: str
) -> None:
    path = tmp_path / "rare.csv"
    encoded = b"\xcd\xf5" + bytes.fromhex(code)
    record = {**records[0], "姓名": "NAME"}
    text = f"{','.join(record)}\r\n{','.join(record.values())}\r\n"
    path.write_bytes(text.encode("gb18030").replace(b"NAME", encoded))
    rows, issues = read_file(path)
    assert issues == []
    assert [row.name for row in rows] == [f"王{character}"]


def test_gb18030_private_use_character_in_a_name_is_an_error(
    records: Records, tmp_path: Path, read_file: Reader
) -> None:
    path = tmp_path / "private.csv"
    record = {**records[0], "姓名": "NAME"}
    text = f"{','.join(record)}\r\n{','.join(record.values())}\r\n"
    path.write_bytes(text.encode("gb18030").replace(b"NAME", b"\xcd\xf5\xaa\xa1"))
    _, issues = read_file(path)
    assert findings(issues) == [("name_garbled", 2, "姓名")]


def to_strict(path: Path) -> Path:
    """Rewrite a workbook as Excel's “Strict Open XML Spreadsheet”."""
    strict = path.with_name("strict.xlsx")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(strict, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            text = source.read(entry)
            for name, transitional in strict_ooxml._NAMESPACES:
                text = text.replace(transitional, name)
            target.writestr(entry.filename, text)
    return strict


@pytest.mark.parametrize("chunk", [1, 37, 1024 * 1024])
def test_strict_workbook_is_read_like_the_transitional_one(
    records: Records,
    write_records: Writer,
    read_file: Reader,
    monkeypatch: pytest.MonkeyPatch,
    chunk: int,
) -> None:
    monkeypatch.setattr(strict_ooxml, "CHUNK", chunk)
    path = write_records(records[:3])
    strict = to_strict(path)
    with strict.open("rb") as stream, path.open("rb") as other:
        assert (is_strict(stream), is_strict(other)) == (True, False)
    rows, issues = read_file(strict)
    assert issues == []
    assert rows == read_file(path)[0]
    assert len(rows) == 3


def test_hidden_and_filtered_rows_are_read_with_a_warning(
    records: Records, tmp_path: Path, read_file: Reader
) -> None:
    path = tmp_path / "hidden.xlsx"
    book = write_workbook(path, records[:10])
    sheet = sheet_of(book)
    for row in (3, 4, 5, 6, 7, 8):
        sheet.row_dimensions[row].hidden = True
    sheet.auto_filter.ref = "A1:C11"
    sheet.auto_filter.add_filter_column(1, ["男"])
    sheet.row_dimensions[30].hidden = True  # without students
    book.save(path)
    rows, issues = read_file(path)
    assert len(rows) == 10
    [issue] = issues
    assert (issue.code, issue.severity.value, issue.value, issue.row) == ("rows_hidden", "warning", "6", 3)
    assert "6 行" in issue.zh
    assert "6 rows" in issue.en
    assert "3, 4, 5, 6, 7" in issue.en
    assert "8" not in issue.en


def test_visible_rows_cause_no_warning(records: Records, tmp_path: Path, read_file: Reader) -> None:
    path = tmp_path / "tall.xlsx"
    book = write_workbook(path, records[:2])
    sheet_of(book).row_dimensions[2].height = 30
    book.save(path)
    assert read_file(path)[1] == []

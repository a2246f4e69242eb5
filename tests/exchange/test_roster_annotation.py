"""The annotated workbook: the upload with its faulty cells marked, which gives the same findings when it is uploaded again."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from openpyxl.cell import Cell
from openpyxl.worksheet.worksheet import Worksheet
from xlsxwriter import Workbook

from backend.core.ids import new_id
from backend.exchange.roster.annotation import (
    FILLS,
    FINDINGS_SHEET,
    MAX_MARKED,
    annotate_roster,
)
from backend.exchange.roster.errors import RosterColumnsMissing, RosterHeaderMissing, RosterKindUnsupported
from backend.exchange.roster.generator import generate_students, plan_school
from backend.exchange.roster.issues import RowIssue, Severity
from backend.exchange.roster.reader import CSV_SHEET, read_roster
from backend.exchange.roster.rows import RosterRow
from backend.exchange.roster.writer import write_roster, write_template
from tests.exchange.conftest import TODAY, RecordsWriter, SheetWriter

ERROR, WARNING = (f"FF{FILLS[each].removeprefix('#')}" for each in (Severity.ERROR, Severity.WARNING))
HYPERLINK = '=HYPERLINK("http://example.invalid","x")'


def annotate(upload: Path) -> Path:
    target = upload.with_name("annotated.xlsx")
    annotate_roster(upload, target, today=TODAY)
    return target


def read(path: Path) -> tuple[list[RosterRow], list[RowIssue]]:
    items = list(read_roster(path, today=TODAY))
    return [each for each in items if isinstance(each, RosterRow)], [
        each for each in items if isinstance(each, RowIssue)
    ]


def sheet_of(path: Path, name: str) -> Worksheet:
    sheet = load_workbook(path)[name]
    assert isinstance(sheet, Worksheet)
    return sheet


def cell_of(sheet: Worksheet, place: str) -> Cell:
    cell = sheet[place]
    assert isinstance(cell, Cell)
    return cell


def fill_of(cell: Cell) -> str | None:
    return cell.fill.fgColor.rgb if cell.fill.fill_type else None


def column(records: list[dict[str, str]], header: str) -> str:
    return chr(ord("A") + list(records[0]).index(header))


def test_faulty_cells_have_a_fill_and_a_comment_in_both_languages(
    records: list[dict[str, str]], write_records: RecordsWriter
) -> None:
    records[0]["姓名"] = ""
    records[1]["联系电话"] = "12"
    upload = write_records(records)
    sheet = sheet_of(annotate(upload), "学生")
    name = cell_of(sheet, "A2")
    assert fill_of(name) == ERROR
    assert name.comment is not None
    for part in ("value_missing", "必填项为空", "A mandatory cell is empty"):
        assert part in name.comment.text
    headers = [cell.value for cell in sheet[1]]
    phone = sheet.cell(3, headers.index("联系电话") + 1)
    assert isinstance(phone, Cell)
    assert (fill_of(phone), phone.value) == (WARNING, "12")
    assert fill_of(cell_of(sheet, "A3")) is None
    assert cell_of(sheet, "A3").comment is None


def test_first_sheet_lists_the_findings_with_links(
    records: list[dict[str, str]], write_records: RecordsWriter
) -> None:
    records[0]["姓名"] = ""
    records[1]["身份证件号"] = "410102200801011234"
    path = annotate(write_records(records))
    assert load_workbook(path).sheetnames == [FINDINGS_SHEET, "学生"]
    sheet = sheet_of(path, FINDINGS_SHEET)
    rows = [row for row in sheet.iter_rows(min_row=7) if row[0].value]
    _, issues = read(path)
    assert [row[5].value for row in rows] == [each.code for each in issues]
    assert [row[1].hyperlink.location for row in rows if row[1].hyperlink] == [
        f"'学生'!{each.letter}{each.row}" for each in issues
    ]
    assert "410102200801011234" not in str([[cell.value for cell in row] for row in rows])


@pytest.mark.parametrize("form", ["xlsx", "csv-utf8", "csv-gb18030"])
def test_every_kind_of_file_gives_the_same_students_and_findings_again(
    records: list[dict[str, str]], tmp_path: Path, form: str
) -> None:
    records[0] |= {"姓名": "", "联系电话": "12"}
    records[1] |= {"性别": "未知", "入学年月": "2026.1"}
    records[2]["身份证件号"] = "4.10102E+17"
    records[3]["专业简称"] = HYPERLINK
    upload = tmp_path / f"roster.{form.partition('-')[0]}"
    write_roster(upload, records, variant="national", form=form)
    path = annotate(upload)
    assert relocated(path) == relocated(upload)


def relocated(path: Path) -> tuple[list[RosterRow], list[tuple[object, ...]]]:
    students, issues = read(path)
    return students, [(each.row, each.letter, each.code, each.value, each.zh) for each in issues]


def test_annotating_an_annotated_workbook_changes_nothing(
    records: list[dict[str, str]], write_records: RecordsWriter, tmp_path: Path
) -> None:
    records[0]["姓名"] = ""
    first = annotate(write_records(records)).rename(tmp_path / "first.xlsx")
    second = annotate(first)
    assert load_workbook(second).sheetnames == load_workbook(first).sheetnames
    assert relocated(second) == relocated(first)


@pytest.mark.parametrize("prefix", ["=", "+", "-", "@", "\t", "＝", "'="])
@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_no_cell_is_a_formula(
    records: list[dict[str, str]], tmp_path: Path, prefix: str, suffix: str
) -> None:
    attack = f"{prefix}cmd|' /C calc'!A0"
    records[0]["班级名称"] = records[1]["姓名"] = attack
    upload = tmp_path / f"roster.{suffix}"
    write_roster(upload, records, variant="national", form="xlsx" if suffix == "xlsx" else "csv-utf8")
    path = annotate(upload)
    with ZipFile(path) as archive:
        for name in archive.namelist():
            assert b"<f>" not in archive.read(name), name
            assert b"<f " not in archive.read(name), name
    for sheet in load_workbook(path).worksheets:
        assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)


def test_formula_of_the_upload_becomes_its_value(tmp_path: Path, records: list[dict[str, str]]) -> None:
    path = tmp_path / "roster.xlsx"
    with closing(Workbook(str(path))) as book:
        sheet = book.add_worksheet("学生")
        for index, (header, value) in enumerate(records[0].items()):
            sheet.write_string(0, index, header)
            sheet.write_string(1, index, value)
        sheet.write_formula(1, 0, '=CONCATENATE("王","小明")', value="王小明")
    assert cell_of(sheet_of(annotate(path), "学生"), "A2").value == "王小明"


def test_text_that_looks_like_markup_stays_text(records: list[dict[str, str]], tmp_path: Path) -> None:
    records[0]["姓名"] = "<r><broken></r>"
    upload = tmp_path / "roster.csv"
    write_roster(upload, records, variant="national", form="csv-utf8")
    assert str(cell_of(sheet_of(annotate(upload), CSV_SHEET), "A2").value).strip() == "<r><broken></r>"


@pytest.mark.parametrize("date_1904", [False, True])
def test_days_are_shown_as_days_and_keep_their_number(
    records: list[dict[str, str]], tmp_path: Path, date_1904: bool
) -> None:
    path = tmp_path / "roster.xlsx"
    with closing(Workbook(str(path), {"date_1904": date_1904})) as book:
        sheet = book.add_worksheet("学生")
        shown = book.add_format({"num_format": "yyyy/m/d"})
        for index, (header, value) in enumerate(records[0].items()):
            sheet.write_string(0, index, header)
            sheet.write_string(1, index, value)
        sheet.write_number(1, list(records[0]).index("出生日期"), 39448, shown)
    annotated = annotate(path)
    cell = cell_of(sheet_of(annotated, "学生"), f"{column(records, '出生日期')}2")
    assert cell.is_date
    assert relocated(annotated) == relocated(path)


def test_hidden_rows_stay_hidden_and_are_marked_as_such(
    tmp_path: Path, records: list[dict[str, str]]
) -> None:
    path = tmp_path / "roster.xlsx"
    records[1]["姓名"] = ""
    with closing(Workbook(str(path))) as book:
        sheet = book.add_worksheet("学生")
        for number, values in enumerate([list(records[0]), *(list(each.values()) for each in records[:3])]):
            for index, value in enumerate(values):
                sheet.write_string(number, index, value)
        sheet.set_row(2, None, None, {"hidden": True})
    annotated = annotate(path)
    assert relocated(annotated) == relocated(path)
    assert sheet_of(annotated, "学生").row_dimensions[3].hidden
    listed = [row[1].value for row in sheet_of(annotated, FINDINGS_SHEET).iter_rows(min_row=7)]
    assert "A3（隐藏 hidden）" in listed


@pytest.mark.parametrize("title", [FINDINGS_SHEET, "x" * 31, "'引号", "Ünïcode"])
def test_sheet_names_are_unique_and_accepted(
    tmp_path: Path, records: list[dict[str, str]], title: str
) -> None:
    path = tmp_path / "roster.xlsx"
    with closing(Workbook(str(path))) as book:
        for name in (title.strip("'"), "学生"):
            sheet = book.add_worksheet(name)
            for number, values in enumerate([list(records[0]), list(records[0].values())]):
                for index, value in enumerate(values):
                    sheet.write_string(number, index, value)
    with ZipFile(path) as source, ZipFile(tmp_path / "named.xlsx", "w") as named:
        for entry in source.infolist():
            content = source.read(entry)
            if entry.filename == "xl/workbook.xml":
                content = content.replace(
                    f'name="{title.strip(chr(39))}"'.encode(), f'name="{title}"'.encode()
                )
            named.writestr(entry, content)
    path = annotate(tmp_path / "named.xlsx")
    names = load_workbook(path).sheetnames
    assert len({name.casefold() for name in names}) == len(names) == 3
    assert [each.code for each in read(path)[1]] == ["person_repeated", "student_number_repeated"]


def test_unlisted_findings_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_school("4141000001", "示例职业学校（虚构）", students=40, part_time_classes=0)
    records = [{**each, "姓名": ""} for each in generate_students(new_id().int % 2**32, [plan])]
    upload = tmp_path / "roster.csv"
    write_roster(upload, records, variant="national", form="csv-utf8")
    monkeypatch.setattr("backend.exchange.roster.annotation.MAX_MARKED", 3)
    sheet = sheet_of(annotate(upload), FINDINGS_SHEET)
    assert "前 3 处" in str(cell_of(sheet, "A5").value)
    assert sheet.max_row == 10
    assert MAX_MARKED > 200


def test_sheets_without_a_header_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "template.xlsx"
    write_template(path, variant="national")
    assert load_workbook(annotate(path)).sheetnames == [FINDINGS_SHEET, "学生信息"]


def test_file_that_cannot_be_read_is_refused_like_an_import(tmp_path: Path, write_sheet: SheetWriter) -> None:
    with pytest.raises(RosterHeaderMissing):
        annotate(write_sheet([["说明", "没有表头"]]))
    with pytest.raises(RosterColumnsMissing):
        annotate(write_sheet([["姓名", "性别", "班级名称"]]))
    old = tmp_path / "old.xlsx"
    old.write_bytes(b"\xd0\xcf\x11\xe0")
    with pytest.raises(RosterKindUnsupported):
        annotate(old)


ODD_TEXT = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["4.10102E+17", "2026.1", "#N/A", "_x0041_", "=1+1", '="2026.1"', "1E400", "39448", "２０２６.１"]
    ),
)


@settings(max_examples=30, deadline=None)
@given(
    cells=st.dictionaries(st.sampled_from(["姓名", "性别", "入学年月", "学制", "班级名称", "备注"]), ODD_TEXT)
)
@pytest.mark.parametrize("form", ["csv-utf8", "xlsx"])
def test_any_text_gives_the_same_findings_again(form: str, cells: Mapping[str, str]) -> None:
    [record, *_] = RECORDS
    changed = {**record, **{header: text for header, text in cells.items() if header in record}}
    with TemporaryDirectory() as folder:
        upload = Path(folder) / f"roster.{form.partition('-')[0]}"
        write_roster(upload, [changed], variant="national", form=form)
        if "\x00" in "".join(cells.values()) and form == "csv-utf8":
            return  # not a text file
        path = annotate(upload)
        assert [each[:3] for each in relocated(path)[1]] == [each[:3] for each in relocated(upload)[1]]


RECORDS = list(
    generate_students(
        7, [plan_school("4141000001", "示例职业学校（虚构）", students=40, part_time_classes=0)]
    )
)

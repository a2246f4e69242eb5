import zipfile
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
import python_calamine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xlsxwriter import Workbook as WorkbookWriter

from backend.core.errors import DomainError
from backend.exchange.roster import reader, xlsx_reader
from backend.exchange.roster.cells import Numeric, parse_day, plain
from backend.exchange.roster.errors import (
    RosterColumnsMissing,
    RosterDamaged,
    RosterHasMacros,
    RosterHeaderMissing,
    RosterKindUnsupported,
    RosterMissing,
    RosterTooLarge,
)
from backend.exchange.roster.generator import generate_students, plan_school
from backend.exchange.roster.issues import RowIssue
from backend.exchange.roster.reader import read_roster
from backend.exchange.roster.rows import RosterRow
from backend.exchange.roster.summary import summarise
from backend.exchange.roster.writer import FORMATS, write_roster, write_template
from backend.exchange.roster.xlsx_reader import EPOCH_1904, Workbook

TODAY = date(2026, 11, 21)
Records = list[dict[str, str]]
Reader = Callable[[Path], tuple[list[RosterRow], list[RowIssue]]]
SheetWriter = Callable[[Sequence[Sequence[object]]], Path]

CONTENT = "[Content_Types].xml"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
SPREADSHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def make_workbook(path: Path, sheet_xml: str, **parts: str) -> Path:
    """Write a workbook from raw XML, so that a test controls its exact content."""
    described = {
        CONTENT: f'<Types xmlns="{PACKAGE}/content-types">'
        f'<Override PartName="/xl/workbook.xml" ContentType="{SPREADSHEET}.sheet.main+xml"/>'
        f'<Override PartName="/xl/sharedStrings.xml" ContentType="{SPREADSHEET}.sharedStrings+xml"/></Types>',
        "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}"/>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><workbookPr date1904="1"/>'
        '<sheets><sheet name="表" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{RELATIONS}/worksheet" Target="/xl/worksheets/s.xml"/></Relationships>',
        "xl/worksheets/s.xml": sheet_xml,
        **{name.replace("__", "/").replace("_xml", ".xml"): text for name, text in parts.items()},
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in described.items():
            archive.writestr(name, text)
    return path


def cells(path: Path) -> list[dict[int, str]]:
    with closing(Workbook(path)) as workbook:
        return [row.cells for row in workbook.rows(workbook.sheets[0], lambda _: None)]


@pytest.mark.parametrize("variant", ["national", "national-2022"])
@pytest.mark.parametrize("form", FORMATS)
def test_written_file_is_read_back_in_every_variant_and_format(
    records: Records, tmp_path: Path, read_file: Reader, variant: str, form: str
) -> None:
    path = tmp_path / f"roster.{form.partition('-')[0]}"
    assert write_roster(path, records, variant=variant, form=form) == len(records)
    rows, issues = read_file(path)
    assert issues == []
    assert [row.document_number for row in rows] == [record["身份证件号"] for record in records]
    assert [row.name for row in rows] == [record["姓名"] for record in records]
    assert rows[0].extras["家庭现地址"] == records[0]["家庭现地址"]


def test_title_rows_above_the_header_are_skipped(
    records: Records, write_sheet: SheetWriter, read_file: Reader
) -> None:
    body = [[f"*{header}" for header in records[0]], list(records[0].values())]
    rows, issues = read_file(write_sheet([["2026年秋季学生信息表"], [], ["填表人：某"], *body]))
    assert issues == []
    assert [row.row for row in rows] == [5]


def test_file_without_a_header_row_is_rejected(write_sheet: SheetWriter, read_file: Reader) -> None:
    with pytest.raises(RosterHeaderMissing):
        read_file(write_sheet([["张三", "男"]] * 20))


def test_header_is_searched_in_the_first_ten_rows_only(
    records: Records, write_sheet: SheetWriter, read_file: Reader
) -> None:
    with pytest.raises(RosterHeaderMissing):
        read_file(write_sheet([*[[]] * 10, list(records[0]), list(records[0].values())]))


def test_missing_mandatory_columns_are_named(write_sheet: SheetWriter, read_file: Reader) -> None:
    with pytest.raises(RosterColumnsMissing, match="学习形式"):
        read_file(write_sheet([["姓名", "性别", "出生日期"], ["某", "男", "20080101"]]))


def test_repetitions_are_found_across_all_visible_sheets(
    records: Records, tmp_path: Path, read_file: Reader
) -> None:
    path = tmp_path / "several.xlsx"
    with closing(WorkbookWriter(str(path))) as workbook:
        for name, some in (("一班", records[:2]), ("说明", []), ("二班", records[1:4])):
            sheet = workbook.add_worksheet(name)
            sheet.write_row(0, 0, list(records[0]) if some else ["请勿修改"])
            for number, record in enumerate(some, start=1):
                sheet.write_row(number, 0, list(record.values()))
        hidden = workbook.add_worksheet("字典")
        hidden.write_row(0, 0, list(records[0]))
        hidden.hide()
    rows, issues = read_file(path)
    assert [(row.sheet, row.row) for row in rows] == [("一班", 2), ("一班", 3), ("二班", 3), ("二班", 4)]
    assert {issue.code for issue in issues} == {"person_repeated", "student_number_repeated"}
    assert "一班!3" in issues[0].zh


def test_empty_template_is_an_empty_roster(tmp_path: Path) -> None:
    path = tmp_path / "template.xlsx"
    write_template(path, variant="national-2022")
    summary = summarise(read_roster(path, today=TODAY))
    assert (summary.students, summary.errors.total(), summary.warnings.total()) == (0, 0, 0)
    assert not summary.importable


def test_template_has_lists_and_notes_on_mandatory_columns(tmp_path: Path) -> None:
    path = tmp_path / "template.xlsx"
    write_template(path, variant="national")
    with zipfile.ZipFile(path) as archive:
        assert "男,女" in archive.read("xl/worksheets/sheet1.xml").decode()
    notes = python_calamine.CalamineWorkbook.from_path(path).get_sheet_by_name("填写说明").to_python()
    assert [row[1:3] for row in notes if row[1] == "班级名称"] == [["班级名称", "必填"]]


@pytest.mark.parametrize("form", FORMATS)
def test_progress_reaches_the_total(records: Records, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"roster.{form.partition('-')[0]}"
    write_roster(path, records, variant="national", form=form)
    told: list[tuple[int, int]] = []

    def progressed(done: int, total: int) -> None:
        told.append((done, total))

    summarise(read_roster(path, today=TODAY, progress=progressed))
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]


def test_rows_are_read_before_the_sheet_is_fully_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "large.xlsx"
    plan = plan_school("4141000001", "示例", students=2000)
    write_roster(path, generate_students(1, [plan]), variant="national", form="xlsx")
    told: list[tuple[int, int]] = []
    items = read_roster(path, today=TODAY, progress=lambda done, total: told.append((done, total)))
    assert isinstance(next(items), RosterRow)
    done, total = told[-1]
    assert total == path.stat().st_size
    assert done < total / 4


CELL = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), max_size=20),
    st.integers(-(10**9), 10**9),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.lists(CELL, max_size=8), max_size=8), st.booleans())
def test_cells_match_those_of_another_reader(
    tmp_path: Path, table: list[list[str | int | None]], shared: bool
) -> None:
    path = tmp_path / "table.xlsx"
    with closing(WorkbookWriter(str(path), {"constant_memory": not shared})) as workbook:
        sheet = workbook.add_worksheet()
        for number, row in enumerate(table):
            for index, cell in enumerate(row):
                if isinstance(cell, str):
                    sheet.write_string(number, index, cell)
                elif cell is not None:
                    sheet.write_number(number, index, cell)
    oracle = (
        python_calamine.CalamineWorkbook.from_path(path)
        .get_sheet_by_index(0)
        .to_python(skip_empty_area=False)
    )
    expected = [
        {
            index: float(cell) if isinstance(cell, int | float) else cell
            for index, cell in enumerate(row)
            if cell != ""
        }
        for row in oracle
    ]
    found = [
        {index: float(cell) if isinstance(cell, Numeric) else cell for index, cell in row.items()}
        for row in cells(path)
    ]
    assert found == [row for row in expected if row]


def test_prefixed_elements_inline_strings_and_missing_references_are_read(tmp_path: Path) -> None:
    sheet = (
        f'<x:worksheet xmlns:x="{MAIN}"><x:sheetData><x:row><x:c t="inlineStr"><x:is><x:t>甲</x:t></x:is></x:c>'
        '<x:c><x:v>1.5</x:v></x:c><x:c r="D1" t="str"><x:f>A1</x:f><x:v>乙</x:v></x:c></x:row></x:sheetData></x:worksheet>'
    )
    assert cells(make_workbook(tmp_path / "a.xlsx", sheet)) == [{0: "甲", 1: "1.5", 3: "乙"}]


def test_rich_text_is_joined_without_phonetic_guides(tmp_path: Path) -> None:
    strings = f'<sst xmlns="{MAIN}"><si><r><t>张</t></r><r><t>三</t></r><rPh sb="0" eb="1"><t>zhang</t></rPh></si></sst>'
    sheet = f'<worksheet xmlns="{MAIN}"><sheetData><row r="1"><c r="B1" t="s"><v>0</v></c></row></sheetData></worksheet>'
    path = make_workbook(tmp_path / "a.xlsx", sheet, xl__sharedStrings_xml=strings)
    assert cells(path) == [{1: "张三"}]


def test_1904_date_system_is_detected(tmp_path: Path) -> None:
    path = make_workbook(tmp_path / "a.xlsx", f'<worksheet xmlns="{MAIN}"><sheetData/></worksheet>')
    with closing(Workbook(path)) as workbook:
        assert workbook.epoch == EPOCH_1904


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ('<row r="x"/>', RosterDamaged),
        ('<row r="1"><c r="ZZZZ1"><v>1</v></c></row>', RosterDamaged),
        ('<row r="1"><c r="XFE1"><v>1</v></c></row>', RosterDamaged),
        ('<row r="1"><c r="A1" t="s"><v>5</v></c></row>', RosterDamaged),
        ('<row r="1"><c r="A1"><v>one</v></c></row>', RosterDamaged),
        (f'<row r="1"><c r="A1"><v>{"1" * 40_000}</v></c></row>', RosterDamaged),
        (f'<row r="1"><c r="A1" t="str"><v>{"1" * 40_000}</v></c></row>', RosterTooLarge),
        ('<row r="900000000"><c><v>1</v></c></row>', RosterTooLarge),
        ("<row>", RosterDamaged),
    ],
)
def test_malformed_rows_are_rejected(tmp_path: Path, row: str, error: type[DomainError]) -> None:
    path = make_workbook(
        tmp_path / "a.xlsx", f'<worksheet xmlns="{MAIN}"><sheetData>{row}</sheetData></worksheet>'
    )
    with pytest.raises(error):
        list(read_roster(path, today=TODAY))


@pytest.mark.parametrize(
    "sheet", ['<!DOCTYPE a [<!ENTITY b "bbbb">]><worksheet>&b;</worksheet>', "not xml at all", ""]
)
def test_sheets_with_unsafe_xml_are_rejected(tmp_path: Path, sheet: str) -> None:
    with pytest.raises(RosterDamaged):
        list(read_roster(make_workbook(tmp_path / "a.xlsx", sheet), today=TODAY))


def test_number_with_a_date_format_is_read_as_its_serial(tmp_path: Path) -> None:
    path = tmp_path / "dates.xlsx"
    with closing(WorkbookWriter(str(path))) as workbook:
        sheet, day = workbook.add_worksheet(), workbook.add_format({"num_format": "yyyy-mm-dd"})
        for index, number in enumerate((39_448, 202_409, 3, 0.5)):
            sheet.write_number(0, index, number, day)
    [row] = cells(path)
    assert [type(cell) for cell in row.values()] == [Numeric] * 4
    assert [plain(cell) for cell in row.values()] == ["39448", "202409", "3", "0.5"]


def test_day_written_out_under_a_date_format_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "dates.xlsx"
    with closing(WorkbookWriter(str(path))) as workbook:
        sheet, day = workbook.add_worksheet(), workbook.add_format({"num_format": "yyyy-mm-dd"})
        sheet.write_number(0, 0, 20_080_131, day)
    assert cells(path) == [{0: "20080131"}]
    assert parse_day("20080131", epoch=EPOCH_1904) == date(2008, 1, 31)


def test_numeric_id_number_is_rejected_with_instructions(
    records: Records, write_records: Callable[[list[dict[str, object]]], Path], read_file: Reader
) -> None:
    spoiled: list[dict[str, object]] = [{**records[0], "身份证件号": float(410102200801010000)}]
    rows, issues = read_file(write_records(spoiled))
    assert rows == []
    assert [issue.code for issue in issues] == ["number_precision_lost"]
    assert "文本" in issues[0].zh


def test_booleans_and_iso_dates_are_read_despite_a_wrong_range(tmp_path: Path) -> None:
    sheet = (
        f'<worksheet xmlns="{MAIN}"><dimension ref="A1"/><sheetData><row r="3"><c r="B3" t="b"><v>1</v></c>'
        '<c r="C3" t="d"><v>2008-01-31T00:00:00</v></c><c r="D3"/></row></sheetData></worksheet>'
    )
    path = make_workbook(tmp_path / "a.xlsx", sheet)
    with closing(Workbook(path)) as workbook:
        [row] = workbook.rows(workbook.sheets[0], lambda _: None)
        assert row.number == 3
        assert parse_day(plain(row.cells[2]), epoch=workbook.epoch) == date(2008, 1, 31)
    assert row.cells[1] == "1"


def test_truncated_workbook_is_rejected(records: Records, tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    write_roster(path, records, variant="national", form="xlsx")
    whole = path.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises((RosterDamaged, RosterKindUnsupported)):
            list(read_roster(path, today=TODAY))


@pytest.fixture
def good_workbook(records: Records, tmp_path: Path) -> bytes:
    path = tmp_path / "good.xlsx"
    write_roster(path, records[:2], variant="national", form="xlsx")
    return path.read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=5))
def test_corrupted_workbook_is_rejected_or_read(
    good_workbook: bytes, tmp_path: Path, changes: list[tuple[int, int]]
) -> None:
    content = bytearray(good_workbook)
    for position, byte in changes:
        content[position % len(content)] = byte
    path = tmp_path / "corrupted.xlsx"
    path.write_bytes(content)
    try:
        read = list(read_roster(path, today=TODAY))
    except DomainError as refusal:
        told = refusal.sentence("zh")
    else:
        told = read[0].sheet
    assert told


def test_macros_are_rejected_before_reading(tmp_path: Path) -> None:
    path = make_workbook(tmp_path / "a.xlsx", "not read")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/vbaProject.bin", b"x")
    with pytest.raises(RosterHasMacros):
        list(read_roster(path, today=TODAY))


@pytest.mark.parametrize(
    "limit", ["MAX_UNPACKED_BYTES", "MAX_ENTRIES", "MAX_SHARED_STRINGS_BYTES", "MAX_PART_BYTES"]
)
def test_archive_beyond_a_limit_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(xlsx_reader, limit, 2)
    strings = f'<sst xmlns="{MAIN}"/>'
    path = make_workbook(tmp_path / "a.xlsx", "<worksheet/>", xl__sharedStrings_xml=strings)
    with pytest.raises(RosterTooLarge):
        list(read_roster(path, today=TODAY))


def test_more_rows_than_the_limit_are_rejected(
    records: Records, tmp_path: Path, read_file: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.xlsx"
    write_roster(path, records[:4], variant="national", form="xlsx")
    monkeypatch.setattr(reader, "MAX_ROWS", 4)
    assert len(read_file(path)[0]) == 4
    monkeypatch.setattr(reader, "MAX_ROWS", 3)
    with pytest.raises(RosterTooLarge):
        read_file(path)


def test_archive_is_not_inflated_beyond_its_declared_size(tmp_path: Path) -> None:
    sheet = f'<worksheet xmlns="{MAIN}"><sheetData>{"<row/>" * 200_000}</sheetData></worksheet>'
    path = make_workbook(tmp_path / "a.xlsx", sheet)
    content = path.read_bytes()
    path.write_bytes(content.replace(len(sheet).to_bytes(4, "little"), (100).to_bytes(4, "little")))
    with pytest.raises(RosterDamaged):
        list(read_roster(path, today=TODAY))


@pytest.mark.parametrize("name", ["old.xls", "new.xlsm", "kingsoft.et", "roster.txt"])
def test_other_file_types_are_rejected_with_instructions(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    with pytest.raises(RosterKindUnsupported) as refusal:
        read_roster(path, today=TODAY)
    assert "另存为" in refusal.value.sentence("zh")


def test_old_or_encrypted_workbook_named_xlsx_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "renamed.xlsx"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000))
    with pytest.raises(RosterKindUnsupported):
        read_roster(path, today=TODAY)


def test_missing_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(RosterMissing):
        read_roster(tmp_path / "none.xlsx", today=TODAY)


def test_workbook_cell_that_looks_like_a_formula_stays_text(records: Records, tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    write_roster(path, [{**records[0], "家庭现地址": "=1+1"}], variant="national", form="xlsx")
    assert "=1+1" in [plain(cell) for cell in cells(path)[1].values()]
    with zipfile.ZipFile(path) as archive:
        assert "<f>" not in archive.read("xl/worksheets/sheet1.xml").decode()


def test_summary_counts_all_findings_and_lists_the_first(records: Records, tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    spoiled = [{**record, "姓名": "", "联系电话": "1"} for record in records[:30]]
    write_roster(path, [*spoiled, *records[30:]], variant="national", form="xlsx")
    summary = summarise(read_roster(path, today=TODAY), shown=5)
    told = summary.as_dict()
    assert (told["rows"], told["students"], told["rows_with_errors"]) == (40, 10, 30)
    assert (told["errors"], told["warnings"]) == (30, 30)
    assert told["errors_by_code"] == {"value_missing": 30}
    assert len(told["first_errors"]) == len(told["first_warnings"]) == 5
    assert told["importable"] is False

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from backend.exchange.roster.issues import RowIssue
from backend.exchange.roster.rows import RosterRow
from backend.people.categories import DocumentKind, Programme, Sex, StudyForm
from backend.people.identifiers import check_character

Records = list[dict[str, str]]
Writer = Callable[[Sequence[Mapping[str, object]]], Path]
Reader = Callable[[Path], tuple[list[RosterRow], list[RowIssue]]]


@pytest.fixture
def read_one(
    records: Records, write_records: Writer, read_file: Reader
) -> Callable[..., tuple[RosterRow | None, list[RowIssue]]]:
    """Read one valid record with some cells changed."""

    def read(**changes: object) -> tuple[RosterRow | None, list[RowIssue]]:
        rows, issues = read_file(write_records([{**records[0], **changes}]))
        return (rows[0] if rows else None), issues

    return read


One = Callable[..., tuple[RosterRow | None, list[RowIssue]]]


def codes(issues: list[RowIssue]) -> list[tuple[str, str]]:
    return [(issue.code, issue.severity.value) for issue in issues]


@pytest.mark.clause("HN334-2.1")
@pytest.mark.parametrize(
    ("written", "programme"),
    [
        ("普通中专", Programme.REGULAR),
        ("成人中专学生", Programme.ADULT),
        ("职业高中", Programme.VOCATIONAL_HIGH),
        ("技工学校", Programme.TECHNICIAN),
        ("高校中专部", Programme.UNIVERSITY_DIVISION),
        ("五年一贯制中职阶段", Programme.FIVE_YEAR),
    ],
)
def test_every_programme_type_of_the_notice_is_accepted(
    read_one: One, written: str, programme: Programme
) -> None:
    row, issues = read_one(学生类别=written)
    assert issues == []
    assert row is not None
    assert row.programme is programme


@pytest.mark.clause("HN334-2.2")
def test_study_form_is_recognised(read_one: One) -> None:
    full, _ = read_one(学习形式="全日制")
    part, _ = read_one(学习形式="非全日制")
    assert full is not None
    assert part is not None
    assert (full.study_form, part.study_form) == (StudyForm.FULL_TIME, StudyForm.PART_TIME)


def test_valid_row_becomes_a_typed_student(records: Records, read_one: One) -> None:
    row, issues = read_one(成员2姓名="某某", 成员2关系="其他", 成员2是否监护人="否")
    record = records[0]
    assert issues == []
    assert row is not None
    assert (row.name, row.document_number) == (record["姓名"], record["身份证件号"])
    assert row.birth_date == date.fromisoformat(record["出生日期"])
    assert row.sex is (Sex.MALE if record["性别"] == "男" else Sex.FEMALE)
    assert row.student_number == record["学号"]
    assert (row.class_name, row.major, row.entry_month) == ("2026级数控技术1班", "数控技术", "2026-09")
    assert row.length_years == Decimal(3)
    assert row.phone == record["联系电话"]
    assert [member.position for member in row.members] == [1, 2]
    [guardian] = row.guardians
    assert (guardian.name, guardian.relation) == (record["成员1姓名"], record["成员1关系"])
    assert guardian.phone == record["成员1联系电话"]
    assert row.extras["民族"] == "汉族"
    assert "姓名" not in row.extras


def test_repr_of_a_student_contains_no_personal_data(records: Records, read_one: One) -> None:
    row, _ = read_one()
    shown = repr(row)
    for header in ("姓名", "身份证件号", "联系电话", "出生日期", "家庭现地址", "成员1姓名"):
        assert records[0][header] not in shown


def test_excel_serial_dates_and_numeric_cells_are_read(records: Records, read_one: One) -> None:
    born = date.fromisoformat(records[0]["出生日期"])
    serial = (born - date(1899, 12, 30)) // timedelta(days=1)
    row, issues = read_one(出生日期=serial, 入学年月=202609, 学制=3, 联系电话=float(records[0]["联系电话"]))
    assert issues == []
    assert row is not None
    assert (row.birth_date, row.entry_month, row.length_years) == (born, "2026-09", Decimal(3))
    assert row.phone == records[0]["联系电话"]


def test_full_width_digits_apostrophes_and_spaces_are_accepted(records: Records, read_one: One) -> None:
    number = records[0]["身份证件号"]
    wide = "".join(chr(ord(character) + 0xFEE0) for character in number)
    row, issues = read_one(
        身份证件号=f"'{wide}　", 学号=f" G{number.lower()} ", 姓名=f"{records[0]['姓名']}　"
    )
    assert issues == []
    assert row is not None
    assert (row.document_number, row.student_number, row.name) == (number, f"G{number}", records[0]["姓名"])


def test_id_number_in_a_numeric_cell_is_an_error_with_advice(records: Records, read_one: One) -> None:
    row, issues = read_one(身份证件号=float(records[0]["身份证件号"][:17] + "0"))
    assert row is None
    assert ("number_precision_lost", "error") in codes(issues)
    assert "文本" in issues[0].zh


def test_rounded_id_number_saved_as_text_is_detected(records: Records, read_one: One) -> None:
    stem = records[0]["身份证件号"][:14]
    rounded = next(
        text for digit in "0123456789" if check_character((text := stem + digit + "000")[:17]) != "0"
    )
    row, issues = read_one(身份证件号=rounded)
    assert row is None
    assert codes(issues)[0] == ("number_precision_lost", "error")


def test_birth_date_and_sex_must_agree_with_the_id_number(records: Records, read_one: One) -> None:
    other = "女" if records[0]["性别"] == "男" else "男"
    row, issues = read_one(出生日期="20050505", 性别=other)
    assert row is None
    assert codes(issues) == [("birth_date_differs_from_id", "error"), ("sex_differs_from_id", "error")]


def test_g_number_of_another_person_is_an_error(records: Records, read_one: One) -> None:
    row, issues = read_one(学号=f"G{records[1]['身份证件号']}")
    assert row is None
    assert codes(issues) == [("student_number_not_of_id", "error")]


def test_pseudo_id_is_accepted_with_a_warning(read_one: One) -> None:
    row, issues = read_one(身份证件号="999414100000100007", 学号="")
    assert row is not None
    assert codes(issues) == [("id_number_pseudo", "warning")]


def test_other_document_needs_no_id_number(read_one: One) -> None:
    row, issues = read_one(
        身份证件类型="港澳居民来往内地通行证", 身份证件号="H12345678", 学号="J410100202409000001"
    )
    assert issues == []
    assert row is not None
    assert row.document_kind is DocumentKind.HOME_RETURN


@pytest.mark.parametrize(
    ("header", "value", "code", "severity"),
    [
        ("姓名", "", "value_missing", "error"),
        ("姓名", "张3", "name_unusable", "error"),
        ("姓名", "#N/A", "cell_is_error", "error"),
        ("就读方式", "#REF!", "cell_is_error", "error"),
        ("班级名称", "", "value_missing", "error"),
        ("性别", "未知", "value_not_in_list", "error"),
        ("学习形式", "业余", "value_not_in_list", "error"),
        ("出生日期", "2008年", "date_unreadable", "error"),
        ("出生日期", "20990101", "date_unreadable", "error"),
        ("入学年月", "去年九月", "month_unreadable", "error"),
        ("身份证件号", "41010", "id_number_length", "error"),
        ("学号", "20240901", "student_number_shape", "error"),
        ("学制", "很长", "length_unreadable", "warning"),
        ("联系电话", "12345", "phone_unreadable", "warning"),
        ("成员1是否监护人", "也许", "guardian_unclear", "warning"),
    ],
)
def test_invalid_cell_is_reported_with_its_position(
    read_one: One, header: str, value: str, code: str, severity: str
) -> None:
    row, issues = read_one(**{header: value})
    assert codes(issues) == [(code, severity)]
    [issue] = issues
    assert (issue.sheet, issue.row, issue.column) == ("学生", 2, header)
    assert issue.letter
    assert (row is None) == (severity == "error")


def test_all_findings_of_a_row_are_reported(read_one: One) -> None:
    row, issues = read_one(姓名="", 学习形式="业余", 入学年月="", 联系电话="1")
    assert row is None
    assert {code for code, _ in codes(issues)} == {
        *("value_missing", "value_not_in_list", "phone_unreadable"),
    }
    assert len(issues) == 4


def test_personal_values_are_masked_in_findings(records: Records, read_one: One) -> None:
    number = records[0]["身份证件号"]
    wrong = number[:17] + ("1" if number[17] != "1" else "2")
    _, issues = read_one(身份证件号=wrong, 学号="", 联系电话="15412345")
    assert [issue.value for issue in issues] == [f"{wrong[:3]}{'*' * 13}{wrong[-2:]}", "*" * 8]


def test_finding_of_a_repeated_person_names_the_first_row(
    records: Records, write_records: Writer, read_file: Reader
) -> None:
    rows, issues = read_file(write_records([*records[:3], records[1]]))
    assert len(rows) == 3
    assert codes(issues) == [("person_repeated", "error"), ("student_number_repeated", "error")]
    assert all(issue.row == 5 and "学生!3" in issue.zh and "学生!3" in issue.en for issue in issues)


def test_blank_rows_are_skipped_and_row_numbers_kept(
    records: Records, write_records: Writer, read_file: Reader
) -> None:
    rows, issues = read_file(write_records([records[0], {}, {}, records[1]]))
    assert issues == []
    assert [row.row for row in rows] == [2, 5]

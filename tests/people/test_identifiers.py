from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.people.categories import DocumentKind, Sex
from backend.people.identifiers import (
    BORN_LATER,
    CHECK_CHARACTERS,
    DOCUMENT_SHAPE,
    EMPTY,
    FIFTEEN_DIGITS,
    NO_SUCH_DAY,
    NO_SUCH_PROVINCE,
    OF_PERMANENT_RESIDENCE,
    OF_RESIDENCE_PERMIT,
    PSEUDO_ID,
    RESIDENCE_PERMIT_DIVISION,
    SCHOOL_CODE_SHAPE,
    STUDENT_NUMBER_OTHER_ID,
    STUDENT_NUMBER_SHAPE,
    WRONG_CHARACTERS,
    WRONG_CHECK,
    WRONG_LENGTH,
    Defect,
    IdNumber,
    StudentNumber,
    StudentNumberKind,
    check_character,
    mask,
    parse_document,
    parse_id_number,
    parse_school_code,
    parse_student_number,
)

TODAY = date(2026, 11, 21)
VALID = "11010519491231002X"


@st.composite
def id_numbers(draw: st.DrawFn) -> str:
    division = draw(st.sampled_from(["410102", "410482", "419001", "110105", "659004", "810000"]))
    born = draw(st.dates(date(1900, 1, 1), TODAY - timedelta(days=1)))
    stem = f"{division}{born:%Y%m%d}{draw(st.integers(0, 999)):03}"
    return stem + check_character(stem)


def parse(text: str) -> IdNumber | Defect:
    return parse_id_number(text, today=TODAY)


@pytest.mark.parametrize(
    "text",
    [
        *(VALID, VALID.lower(), f" {VALID}　", "１１０１０５１９４９１２３１００２Ｘ"),
        *("110105 19491231 002x", f'="{VALID}"', f"\u202a{VALID}\u202c", f"{VALID}_x000D_", f"\ufeff{VALID}"),
    ],
)
def test_the_standards_example_is_valid_in_every_spelling(text: str) -> None:
    assert parse(text) == IdNumber(VALID, date(1949, 12, 31), Sex.FEMALE, "110105")


@given(id_numbers())
def test_a_valid_number_encodes_birth_date_sex_and_division(number: str) -> None:
    parsed = parse(number)
    assert isinstance(parsed, IdNumber)
    assert f"{parsed.division}{parsed.birth_date:%Y%m%d}" == number[:14]
    assert parsed.sex == (Sex.FEMALE if int(number[16]) % 2 == 0 else Sex.MALE)


@given(id_numbers(), st.integers(0, 17), st.data())
def test_any_single_wrong_character_is_detected(number: str, position: int, data: st.DataObject) -> None:
    alphabet = "0123456789X" if position == 17 else "0123456789"
    wrong = data.draw(st.sampled_from([character for character in alphabet if character != number[position]]))
    assert isinstance(parse(number[:position] + wrong + number[position + 1 :]), Defect)


@given(id_numbers(), st.integers(0, 16))
def test_any_swap_of_unlike_neighbours_is_detected(number: str, position: int) -> None:
    left, right = number[position], number[position + 1]
    swapped = number[:position] + right + left + number[position + 2 :]
    assert isinstance(parse(swapped), Defect) == (left != right)


@given(st.text(max_size=25))
def test_any_text_is_parsed_or_a_defect(text: str) -> None:
    assert isinstance(parse(text), IdNumber | Defect)


def with_check(stem: str) -> str:
    return stem + check_character(stem)


@pytest.mark.parametrize(
    ("text", "defect"),
    [
        ("", EMPTY),
        ("   ", EMPTY),
        ("110105491231002", FIFTEEN_DIGITS),
        ("1101051949123100", WRONG_LENGTH),
        ("X1010519491231002X", WRONG_CHARACTERS),
        ("11010519491231002四", WRONG_CHARACTERS),
        ("999414100000100007", PSEUDO_ID),
        (with_check("00010519491231002"), NO_SUCH_PROVINCE),
        (with_check("41010220090229001"), NO_SUCH_DAY),
        (with_check("41010200000101001"), NO_SUCH_DAY),
        (with_check("41010220261121001"), BORN_LATER),
        ("110105194912310021", WRONG_CHECK),
    ],
)
def test_a_bad_number_has_a_defect(text: str, defect: Defect) -> None:
    assert parse(text) is defect


def test_a_retired_division_code_is_tolerated() -> None:
    assert isinstance(parse(with_check("41290119880101001")), IdNumber)


def test_check_characters_match_the_standard() -> None:
    assert CHECK_CHARACTERS == "10X98765432"


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (DocumentKind.HOME_RETURN, "h12345678", "H12345678"),
        (DocumentKind.HOME_RETURN, "K12345678", DOCUMENT_SHAPE),
        (DocumentKind.TAIWAN, "12345678", "12345678"),
        (DocumentKind.TAIWAN, "1234", DOCUMENT_SHAPE),
        (DocumentKind.PASSPORT, "E12345678", "E12345678"),
        (DocumentKind.PERMANENT_RESIDENCE, "USA110012345678", "USA110012345678"),
        (DocumentKind.MILITARY, "军字第123号", "军字第123号"),
        (DocumentKind.OTHER, "", EMPTY),
        (DocumentKind.OTHER, "9" * 31, DOCUMENT_SHAPE),
        (DocumentKind.RESIDENT_ID, "110105194912310021", WRONG_CHECK),
    ],
)
def test_other_documents_are_checked_by_their_shape(
    kind: DocumentKind, text: str, expected: str | Defect
) -> None:
    assert parse_document(kind, text, today=TODAY) == expected


@pytest.mark.parametrize("division", ["810000", "820000", "830000"])
def test_a_residence_permit_is_checked_like_an_id_number(division: str) -> None:
    number = with_check(f"{division}20050101001")
    parsed = parse_document(DocumentKind.RESIDENCE_PERMIT, number, today=TODAY)
    assert parsed == IdNumber(number, date(2005, 1, 1), Sex.MALE, division)
    wrong = number[:17] + ("1" if number[17] != "1" else "2")
    assert parse_document(DocumentKind.RESIDENCE_PERMIT, wrong, today=TODAY) is WRONG_CHECK


def test_a_permanent_residence_number_of_2023_is_checked_completely() -> None:
    kind, number = DocumentKind.PERMANENT_RESIDENCE, "911124198108030024"  # the specimen card
    assert parse_document(kind, number, today=TODAY) == IdNumber(
        number, date(1981, 8, 3), Sex.FEMALE, "911124"
    )
    assert isinstance(parse_document(kind, with_check("93301020100101123"), today=TODAY), IdNumber)
    for stem, defect in (
        ("91012420100101123", NO_SUCH_PROVINCE),
        ("91112420100230123", NO_SUCH_DAY),
        ("91112420300101123", BORN_LATER),
    ):
        assert parse_document(kind, with_check(stem), today=TODAY) is defect
    assert parse_document(kind, "911124198108030025", today=TODAY) is WRONG_CHECK
    assert parse_document(kind, "USA110012345678", today=TODAY) == "USA110012345678"
    carried = parse_student_number(f"G{number}", id_number=number, today=TODAY)
    assert carried == StudentNumber(f"G{number}", StudentNumberKind.BY_ID)


@pytest.mark.parametrize(
    ("kind", "number", "defect"),
    [
        (DocumentKind.RESIDENT_ID, with_check("81000020050101001"), OF_RESIDENCE_PERMIT),
        (DocumentKind.RESIDENT_ID, "911124198108030024", OF_PERMANENT_RESIDENCE),
        (DocumentKind.RESIDENCE_PERMIT, "911124198108030024", OF_PERMANENT_RESIDENCE),
        (DocumentKind.RESIDENCE_PERMIT, VALID, RESIDENCE_PERMIT_DIVISION),
        (DocumentKind.RESIDENCE_PERMIT, with_check("81010020050101001"), NO_SUCH_PROVINCE),
    ],
)
def test_a_number_of_another_kind_of_document_is_named(
    kind: DocumentKind, number: str, defect: Defect
) -> None:
    assert parse_document(kind, number, today=TODAY) is defect


@pytest.mark.parametrize(
    ("kind", "text", "valid"),
    [
        (DocumentKind.HONG_KONG, "K12345678", True),
        (DocumentKind.HONG_KONG, "KJ1234567", True),
        (DocumentKind.HONG_KONG, "a123456（3）", True),
        (DocumentKind.HONG_KONG, "AB987654(3)", True),
        (DocumentKind.HONG_KONG, "G123456(A)", True),
        (DocumentKind.HONG_KONG, "A123456(4)", False),
        (DocumentKind.HONG_KONG, "12345678", False),
        (DocumentKind.MACAO, "MA1234567", True),
        (DocumentKind.MACAO, "1234567(8)", True),
        (DocumentKind.MACAO, "2234567(8)", False),
        (DocumentKind.HOME_RETURN, "H1234567800", True),
        (DocumentKind.HOME_RETURN, "HA1234567", True),
        (DocumentKind.HOME_RETURN, "12345678", False),
        (DocumentKind.TAIWAN, "0123456789(B)", True),
        (DocumentKind.TAIWAN, "H12345678", False),
    ],
)
def test_documents_of_hong_kong_macao_and_taiwan(kind: DocumentKind, text: str, valid: bool) -> None:
    assert isinstance(parse_document(kind, text, today=TODAY), str) == valid


@given(id_numbers())
def test_a_g_number_must_contain_the_students_id_number(number: str) -> None:
    own = parse_student_number(f"g{number}", id_number=number, today=TODAY)
    assert own == StudentNumber(f"G{number}", StudentNumberKind.BY_ID)
    if number != VALID:
        assert parse_student_number(f"G{VALID}", id_number=number, today=TODAY) is STUDENT_NUMBER_OTHER_ID


@pytest.mark.parametrize("letter", ["J", "L"])
def test_numbers_without_an_id_need_only_their_shape(letter: str) -> None:
    number = f"{letter}410100202409000001"
    parsed = parse_student_number(number, id_number=VALID, today=TODAY)
    assert parsed == StudentNumber(number, StudentNumberKind(letter))


@pytest.mark.parametrize(
    ("text", "defect"),
    [
        ("", EMPTY),
        ("20240901", STUDENT_NUMBER_SHAPE),
        (f"A{VALID}", STUDENT_NUMBER_SHAPE),
        (f"J{VALID}0", STUDENT_NUMBER_SHAPE),
        ("G110105194912310021", WRONG_CHECK),
    ],
)
def test_a_bad_student_number_has_a_defect(text: str, defect: Defect) -> None:
    assert parse_student_number(text, id_number=None, today=TODAY) is defect


def test_a_school_code_is_ten_digits() -> None:
    assert parse_school_code(" 4141000001 ") == "4141000001"
    assert parse_school_code("414100000") is SCHOOL_CODE_SHAPE
    assert parse_school_code("41410000０1") == "4141000001"
    assert parse_school_code("41410000〇1") is SCHOOL_CODE_SHAPE


@given(st.text(min_size=1, max_size=40))
def test_a_mask_keeps_the_length_and_at_most_half_of_the_text(text: str) -> None:
    masked = mask(text)
    assert len(masked) == len(text)
    assert masked.count("*") >= len(text) / 2


def test_a_masked_id_number_shows_five_characters() -> None:
    assert mask(VALID) == "110*************2X"

"""Parsing of ID numbers, student numbers and school codes: the result is the parsed number or a `Defect`.

A bad number is a value, not an exception, because rosters with hundreds of thousands of rows are read. The caller passes
`today`, against which birth dates are checked.
"""

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from backend.core.match_keys import compact, id_key
from backend.people.categories import DocumentKind, Sex

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
"""GB 11643: the weight of each of the first seventeen digits."""

CHECK_CHARACTERS = "10X98765432"
"""GB 11643: the eighteenth character, by the weighted sum modulo 11."""

PROVINCES = frozenset(
    str(code)
    for first, last in ((11, 15), (21, 23), (31, 37), (41, 46), (50, 54), (61, 65), (71, 71))
    for code in range(first, last + 1)
)
"""GB/T 2260 provinces. Numbers keep retired codes of lower divisions, so only the province is checked."""

RESIDENCE_DIVISIONS = frozenset({"810000", "820000", "830000"})
"""The first six digits of a number on a residence permit: Hong Kong, Macao, Taiwan (国办发〔2018〕81号)."""

FOREIGNER = "9"
"""The first digit of the number on a foreigner's permanent residence card of 2023 (GA 2102-2023). The issuing province
and the three digits of the nationality follow, then birth date, order and check digit as in GB 11643."""

_EIGHTEEN = re.compile(r"[0-9]{17}[0-9X]", re.ASCII)
_PSEUDO = re.compile(r"999(?P<school>[0-9]{10})(?P<serial>[0-9]{5})", re.ASCII)
_SCHOOL = re.compile(r"[0-9]{10}", re.ASCII)

_SHAPES = {
    DocumentKind.HONG_KONG: re.compile(r"[HKD]([A-Z][0-9]{7}|[0-9]{8})|[A-Z]{1,2}[0-9]{6}[0-9A]"),
    DocumentKind.MACAO: re.compile(r"M[ABD]?[0-9]{7,8}|[1578][0-9]{7}"),
    DocumentKind.HOME_RETURN: re.compile(r"[HM]([0-9]{8}|[A-Z][0-9]{7})([0-9]{2})?"),
    DocumentKind.TAIWAN: re.compile(r"[0-9]{8}([0-9]{2}[A-Z]?)?"),
    DocumentKind.PERMANENT_RESIDENCE: re.compile(r"[A-Z]{3}[0-9]{12}"),
    DocumentKind.PASSPORT: re.compile(r"[A-Z0-9]{5,17}"),
}
"""Of the letters and digits of a number. Passports and identity documents of Hong Kong and Macao, permits to enter the
mainland (also those for permanent residents of other nationality, since 2024), and permanent residence cards until 2023."""
_HONG_KONG_IDENTITY = re.compile(r"([A-Z]{1,2})([0-9]{6})([0-9A])")
_ANY_SHAPE = re.compile(r"(?=.*[^\W_]).{1,30}")


@dataclass(frozen=True, slots=True)
class Defect:
    """Why a number is invalid: a stable code, and a sentence that says what to do."""

    code: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class IdNumber:
    """A valid number in the form of GB 11643 with X in upper case, and the data it encodes."""

    number: str
    birth_date: date
    sex: Sex
    division: str


class StudentNumberKind(StrEnum):
    """The first letter of a national student number (学籍号)."""

    BY_ID = "G"
    WITHOUT_ID = "J"
    TEMPORARY = "L"


@dataclass(frozen=True, slots=True)
class StudentNumber:
    """A national student number, 19 characters."""

    number: str
    kind: StudentNumberKind


EMPTY = Defect("number_empty", "号码为空，请填写。", "The number is empty; fill it in.")
FIFTEEN_DIGITS = Defect(
    "id_number_15_digits",
    "这是15位旧身份证号，请改填18位公民身份号码。",
    "This is an old 15-digit number; give the 18-digit one.",
)
WRONG_LENGTH = Defect(
    "id_number_length",
    "身份证号应为18位，请核对证件。",
    "An ID number has 18 characters; check the document.",
)
WRONG_CHARACTERS = Defect(
    "id_number_characters",
    "身份证号只能是17位数字加1位数字或X，请核对证件。",
    "An ID number is 17 digits and a digit or X; check the document.",
)
PSEUDO_ID = Defect(
    "id_number_pseudo",
    "这是旧系统的临时号（999＋学校标识码＋流水号），不是身份证号，请尽快换成真实证件号。",
    "This is a placeholder of the retired system (999 + school code + serial), not an ID number; replace it.",
)
NO_SUCH_PROVINCE = Defect(
    "id_number_province",
    "身份证号前两位不是省级代码，请核对证件。",
    "The first two digits name no province; check the document.",
)
NO_SUCH_DAY = Defect(
    "id_number_birth_date",
    "身份证号中的出生日期不存在，请核对证件。",
    "The birth date in the ID number does not exist; check the document.",
)
BORN_LATER = Defect(
    "id_number_birth_in_future",
    "身份证号中的出生日期不早于今天，请核对证件。",
    "The birth date in the ID number is not in the past; check the document.",
)
WRONG_CHECK = Defect(
    "id_number_check_digit",
    "身份证号校验位不符，有数字录错，请对照证件逐位核对。",
    "The check digit does not match: a digit is wrong; compare with the document.",
)
STUDENT_NUMBER_SHAPE = Defect(
    "student_number_shape",
    "学籍号应为19位：G加身份证号，或J、L加18位，请核对。",
    "A student number has 19 characters: G and the ID number, or J or L and 18 digits; check it.",
)
STUDENT_NUMBER_OTHER_ID = Defect(
    "student_number_not_of_id",
    "G开头的学籍号与本人身份证号不一致，请核对两者。",
    "The G student number does not carry this person's ID number; check both.",
)
SCHOOL_CODE_SHAPE = Defect(
    "school_code_shape", "学校标识码应为10位数字，请核对。", "A school code has 10 digits; check it."
)
RESIDENCE_PERMIT_DIVISION = Defect(
    "residence_permit_division",
    "港澳台居民居住证号应以810000、820000或830000开头，请核对证件类型和号码。",
    "The number of a residence permit begins with 810000, 820000 or 830000; check the kind of document and the number.",
)
OF_RESIDENCE_PERMIT = Defect(
    "id_number_of_residence_permit",
    "这是港澳台居民居住证的号码，请把证件类型改为“港澳台居民居住证”。",
    "This is the number of a residence permit. Change the kind of document to 港澳台居民居住证.",
)
OF_PERMANENT_RESIDENCE = Defect(
    "id_number_of_permanent_residence",
    "这是外国人永久居留身份证的号码，请把证件类型改为“外国人永久居留身份证”。",
    "This is the number of a foreigner's permanent residence card. Change the kind of document to 外国人永久居留身份证.",
)
DOCUMENT_CHECK = Defect(
    "document_number_check",
    "证件号码的校验码不符，有字符录错，请对照证件核对。",
    "The check character of the number does not match: a character is wrong; compare with the document.",
)
DOCUMENT_SHAPE = Defect(
    "document_number_shape",
    "证件号码与所选证件类型的格式不符，请核对类型和号码。",
    "The number does not have the form of this kind of document; check both.",
)


def check_character(first_seventeen: str) -> str:
    """The eighteenth character for seventeen digits (GB 11643, ISO 7064 MOD 11-2)."""
    total = sum(weight * int(digit) for weight, digit in zip(WEIGHTS, first_seventeen, strict=True))
    return CHECK_CHARACTERS[total % 11]


def is_pseudo_id(text: str) -> bool:
    """Whether this is `999` + school code + serial, the retired system's number for students without an ID number."""
    return _PSEUDO.fullmatch(text) is not None


def _find_form_defect(number: str) -> Defect | None:
    """The defect of form, if any. A number without one has 17 digits and a check character."""
    if not number:
        return EMPTY
    if len(number) == 15 and number.isascii() and number.isdigit():  # noqa: PLR2004  the old format's length
        return FIFTEEN_DIGITS
    if len(number) != 18:  # noqa: PLR2004  GB 11643
        return WRONG_LENGTH
    if not _EIGHTEEN.fullmatch(number):
        return WRONG_CHARACTERS
    return PSEUDO_ID if is_pseudo_id(number) else None


def parse_id_number(text: str, *, today: date) -> IdNumber | Defect:
    """Parse an 18-character number with check digit: of a resident, a residence permit or a permanent residence card.

    Accepts `x` for `X`, spaces and full-width forms.
    """
    number = compact(text).upper()
    malformed = _find_form_defect(number)
    if malformed:
        return malformed
    if not _is_division(number):
        return NO_SUCH_PROVINCE
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return NO_SUCH_DAY
    if born >= today:
        return BORN_LATER
    if check_character(number[:17]) != number[17]:
        return WRONG_CHECK
    sex = Sex.MALE if int(number[16]) % 2 else Sex.FEMALE
    return IdNumber(number, born, sex, number[:6])


def _is_division(number: str) -> bool:
    if number.startswith(FOREIGNER):
        return number[1:3] in PROVINCES
    return number[:2] in PROVINCES or number[:6] in RESIDENCE_DIVISIONS


def parse_document(kind: DocumentKind, text: str, *, today: date) -> IdNumber | str | Defect:
    """Parse the number of an identity document: completely if the kind has a check digit, otherwise by its shape.

    Shapes are lenient, because authorities change them more often than schools renew documents.
    """
    number = compact(text).upper()
    if kind in {DocumentKind.RESIDENT_ID, DocumentKind.RESIDENCE_PERMIT}:
        return _parse_national_number(kind, number, today)
    if not number:
        return EMPTY
    if kind is DocumentKind.PERMANENT_RESIDENCE and number.startswith(FOREIGNER):
        return parse_id_number(number, today=today)
    shape = _SHAPES.get(kind)
    fits = shape.fullmatch(id_key(number)) if shape else _ANY_SHAPE.fullmatch(number)
    if fits and kind is DocumentKind.HONG_KONG and not _is_hong_kong_number(id_key(number)):
        return DOCUMENT_CHECK
    return number if fits else DOCUMENT_SHAPE


def _parse_national_number(kind: DocumentKind, number: str, today: date) -> IdNumber | Defect:
    """A number in the form of GB 11643, which tells whose document it is on."""
    parsed = parse_id_number(number, today=today)
    if isinstance(parsed, Defect):
        return parsed
    if number.startswith(FOREIGNER):
        return OF_PERMANENT_RESIDENCE
    of_permit = parsed.division in RESIDENCE_DIVISIONS
    if kind is DocumentKind.RESIDENT_ID:
        return OF_RESIDENCE_PERMIT if of_permit else parsed
    return parsed if of_permit else RESIDENCE_PERMIT_DIVISION


def _is_hong_kong_number(number: str) -> bool:
    """Whether the check character of a Hong Kong identity card matches; passport numbers have none."""
    match = _HONG_KONG_IDENTITY.fullmatch(number)
    if match is None or (match[1] in {"HJ", "KJ", "HB", "KB"}):
        return True
    letters = [ord(letter) - ord("A") + 10 for letter in match[1]]
    values = [*([36] if len(letters) == 1 else []), *letters, *map(int, match[2])]
    total = sum(weight * value for weight, value in zip(range(9, 1, -1), values, strict=True))
    check = (-total) % 11
    return match[3] == ("A" if check == 10 else str(check))  # noqa: PLR2004  the character for ten


def parse_student_number(text: str, *, id_number: str | None, today: date) -> StudentNumber | Defect:
    """Parse a national student number (学籍号); one that starts with G must contain `id_number`, if known."""
    number = compact(text).upper()
    if not number:
        return EMPTY
    letter, rest = number[0], number[1:]
    if letter not in {"G", "J", "L"} or not _EIGHTEEN.fullmatch(rest):
        return STUDENT_NUMBER_SHAPE
    kind = StudentNumberKind(letter)
    if kind is StudentNumberKind.BY_ID:
        if id_number is not None:
            return StudentNumber(number, kind) if rest == id_number else STUDENT_NUMBER_OTHER_ID
        carried = parse_id_number(rest, today=today)
        if isinstance(carried, Defect):
            return carried
    return StudentNumber(number, kind)


def parse_school_code(text: str) -> str | Defect:
    """Parse a school code (学校标识码): ten digits."""
    code = compact(text)
    return code if _SCHOOL.fullmatch(code) else SCHOOL_CODE_SHAPE


def mask(text: str) -> str:
    """The number with its middle masked; the first three and last two characters suffice to find a typo."""
    visible = 5
    return (
        f"{text[:3]}{'*' * (len(text) - visible)}{text[-2:]}" if len(text) > 2 * visible else "*" * len(text)
    )

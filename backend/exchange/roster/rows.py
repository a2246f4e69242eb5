"""One row of a roster: each cell is checked, cells are compared with each other, and the result is typed.

To add a column that is stored in a `student` column: name its header in `policies/templates/columns.yaml`, add a
field here annotated with `StudentColumn` and read it in `_RowParser.parse`, and add the column to `people/tables.py` with its
migration. Staging, insert, update and digest follow from the field.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import Enum, StrEnum
from functools import cache
from typing import Annotated, Any, TypeVar

from backend.core.match_keys import compact, match_key
from backend.exchange.roster.cells import (
    RawRow,
    is_error,
    lost_precision,
    lost_zero,
    parse_day,
    parse_month,
    plain,
)
from backend.exchange.roster.header import Header
from backend.exchange.roster.issues import (
    BAD_DAY,
    BAD_LENGTH,
    BAD_MONTH,
    BAD_PHONE,
    BIRTH_DATE_DIFFERS,
    EXCEL_ERROR,
    GUARDIAN_UNCLEAR,
    MONTH_LOST_ZERO,
    NAME_PLACEHOLDER,
    PRECISION_LOST,
    REQUIRED,
    SEX_DIFFERS,
    ColumnRef,
    RowIssue,
    Severity,
    not_in_list,
)
from backend.exchange.roster.person_names import find_name_defect
from backend.exchange.roster.template import MEMBERS, load_template
from backend.people.categories import DocumentKind, Programme, Sex, StudyForm
from backend.people.identifiers import (
    PSEUDO_ID,
    WRONG_CHECK,
    Defect,
    IdNumber,
    is_pseudo_id,
    parse_document,
    parse_student_number,
)

_PHONE = re.compile(r"1[3-9][0-9]{9}|0[0-9]{2,3}-?[0-9]{7,8}(-[0-9]{1,6})?|[2-9][0-9]{6,7}")
_YEARS = re.compile(r"[0-9](\.[05])?")
_ROUNDED = "000"
"""The last digits of a long number that was stored in a numeric cell."""

Code = TypeVar("Code", bound=StrEnum)


class YesNo(StrEnum):
    """是 or 否."""

    YES = "yes"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Member:
    """A family member on the roster, at position 1 or 2 of the template."""

    position: int
    name: str
    relation: str | None
    is_guardian: bool
    phone: str | None


def _unwrap(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _without_hyphen(month: str) -> str:
    return month.replace("-", "")


@dataclass(frozen=True, slots=True)
class StudentColumn:
    """Annotates a field of `RosterRow` that is stored in the `student` column of the same name.

    `updated`: a later roster may change it. Legal states are set when the student is created and never by a file.
    `convert` turns the value of the field into that of the column.
    """

    sql_type: str
    updated: bool = True
    convert: Callable[[Any], Any] = _unwrap


_TEXT = StudentColumn("text")


@dataclass(frozen=True, slots=True)
class RosterRow:
    """A student as stated by the roster. `entry_month` is `YYYY-MM`; `extras`: other filled columns by header."""

    sheet: str
    row: int
    name: Annotated[str, _TEXT] = field(repr=False)
    sex: Annotated[Sex, _TEXT]
    birth_date: Annotated[date, StudentColumn("date")] = field(repr=False)
    document_kind: Annotated[DocumentKind, _TEXT]
    document_number: str = field(repr=False)
    student_number: str | None = field(repr=False)
    class_name: str
    programme: Annotated[Programme, _TEXT]
    study_form: Annotated[StudyForm, StudentColumn("text", updated=False)]
    attendance: str | None
    entry_month: Annotated[str, StudentColumn("text", convert=_without_hyphen)]
    major: Annotated[str, _TEXT]
    length_years: Decimal | None
    phone: Annotated[str | None, _TEXT] = field(repr=False)
    members: tuple[Member, ...] = field(repr=False)
    extras: Mapping[str, str] = field(repr=False)

    @property
    def guardians(self) -> tuple[Member, ...]:
        """The members marked as guardians."""
        return tuple(member for member in self.members if member.is_guardian)


@dataclass(frozen=True, slots=True)
class SheetContext:
    """The context of all rows of a sheet: name, header, day zero of its serial dates, and today."""

    sheet: str
    header: Header
    epoch: date
    today: date


@cache
def _spellings(name: str) -> Mapping[str, str]:
    return load_template().spellings(name)


@cache
def _not_in_list(name: str) -> Defect:
    return not_in_list(tuple(texts[0] for texts in load_template().values[name].values()))


def check_row(context: SheetContext, raw: RawRow) -> tuple[RosterRow | None, list[RowIssue]]:
    """Parse a row. Returns the student, or None if there is an error, and all findings."""
    parser = _RowParser(context, raw)
    row = parser.parse()
    return row, parser.issues


class _RowParser:
    """Parses the cells of one row and collects the findings."""

    def __init__(self, context: SheetContext, raw: RawRow) -> None:
        self.issues: list[RowIssue] = []
        self._context = context
        self._raw = raw
        self._failed = False

    def parse(self) -> RosterRow | None:
        """Parse every field, so that all findings of the row are reported at once."""
        name = self._name()
        sex = self._read_code("sex", Sex)
        birth_date = self._birth_date()
        kind = self._read_code("document_kind", DocumentKind)
        document = self._document(kind)
        student_number = self._student_number(document)
        class_name, major = self._read_required("class_name"), self._read_required("major")
        programme = self._read_code("programme", Programme)
        study_form = self._read_code("study_form", StudyForm)
        entry_month = self._entry_month()
        if isinstance(document, IdNumber):
            self._compare_with_id_number(document, birth_date, sex)
        attendance, length_years = self._text("attendance"), self._length_years()
        phone, members = self._phone("phone"), self._members()
        self._check_extras()
        # Each None has reported an error already; listing them narrows the types.
        if self._failed or sex is None or birth_date is None or kind is None:
            return None
        if document is None or programme is None or study_form is None or entry_month is None:
            return None
        return RosterRow(
            sheet=self._context.sheet,
            row=self._raw.number,
            name=name,
            sex=sex,
            birth_date=birth_date,
            document_kind=kind,
            document_number=document.number if isinstance(document, IdNumber) else document,
            student_number=student_number,
            class_name=class_name,
            programme=programme,
            study_form=study_form,
            attendance=attendance or None,
            entry_month=entry_month,
            major=major,
            length_years=length_years,
            phone=phone,
            members=members,
            extras=self._extras(),
        )

    def _cell(self, name: str) -> str:
        place = self._context.header.fields.get(name)
        return self._raw.cells.get(place.index, "") if place else ""

    def _text(self, name: str) -> str:
        """The text of a field; reports formula errors."""
        cell = self._cell(name)
        if is_error(cell):
            self._error(name, cell, EXCEL_ERROR)
            return ""
        return plain(cell)

    def _report(self, name: str, value: str, defect: Defect, severity: Severity) -> None:
        place = self._context.header.fields.get(name) or ColumnRef(-1, name, personal=True)
        self.issues.append(place.issue(self._context.sheet, self._raw.number, value, defect, severity))

    def _error(self, name: str, value: str, defect: Defect) -> None:
        self._failed = True
        self._report(name, value, defect, Severity.ERROR)

    def _warn(self, name: str, value: str, defect: Defect) -> None:
        self._report(name, value, defect, Severity.WARNING)

    def _read_required(self, name: str) -> str:
        text = self._text(name)
        if not text and not is_error(self._cell(name)):
            self._error(name, text, REQUIRED)
        return text

    def _name(self) -> str:
        name = self._read_required("name")
        if name and (defect := find_name_defect(name)):
            self._error("name", name, defect)
        return name

    def _read_code(self, name: str, codes: type[Code]) -> Code | None:
        text = self._read_required(name)
        if not text:
            return None
        value = _spellings(name).get(match_key(text))
        if value is None:
            self._error(name, text, _not_in_list(name))
            return None
        return codes(value)

    def _birth_date(self) -> date | None:
        text = self._read_required("birth_date")
        if not text:
            return None
        day = parse_day(text, epoch=self._context.epoch)
        if day is None or day >= self._context.today:
            self._error("birth_date", text, BAD_DAY)
            return None
        return day

    def _entry_month(self) -> str | None:
        text = self._read_required("entry_month")
        if not text:
            return None
        if lost_zero(self._cell("entry_month"), text):
            self._error("entry_month", text, MONTH_LOST_ZERO)
            return None
        month = parse_month(text, epoch=self._context.epoch)
        if month is None:
            self._error("entry_month", text, BAD_MONTH)
        return month

    def _document(self, kind: DocumentKind | None) -> IdNumber | str | None:
        cell, text = self._cell("document_number"), compact(self._read_required("document_number"))
        if not text or kind is None:
            return None
        if lost_precision(cell, text):
            self._error("document_number", text, PRECISION_LOST)
            return None
        if is_pseudo_id(text):
            self._warn("document_number", text, PSEUDO_ID)
            return text
        document = parse_document(kind, text, today=self._context.today)
        if isinstance(document, Defect):
            rounded = document is WRONG_CHECK and text.endswith(_ROUNDED)
            self._error("document_number", text, PRECISION_LOST if rounded else document)
            return None
        return document

    def _student_number(self, document: IdNumber | str | None) -> str | None:
        cell, text = self._cell("student_number"), compact(self._text("student_number"))
        if not text:
            return None
        if lost_precision(cell, text):
            self._error("student_number", text, PRECISION_LOST)
            return None
        id_number = document.number if isinstance(document, IdNumber) else None
        number = parse_student_number(text, id_number=id_number, today=self._context.today)
        if isinstance(number, Defect):
            self._error("student_number", text, number)
            return None
        return number.number

    def _compare_with_id_number(self, document: IdNumber, birth_date: date | None, sex: Sex | None) -> None:
        if birth_date is not None and birth_date != document.birth_date:
            self._error("birth_date", birth_date.isoformat(), BIRTH_DATE_DIFFERS)
        if sex is not None and sex != document.sex:
            self._error("sex", self._text("sex"), SEX_DIFFERS)

    def _length_years(self) -> Decimal | None:
        text = compact(self._text("length_years")).removesuffix("制").removesuffix("年")
        if not text:
            return None
        if not _YEARS.fullmatch(text):
            self._warn("length_years", text, BAD_LENGTH)
            return None
        return Decimal(text)

    def _phone(self, name: str) -> str | None:
        """An invalid phone number is left out with a warning; it never blocks the row."""
        text = compact(self._text(name))
        if not text:
            return None
        number = text.removeprefix("+86")
        if not _PHONE.fullmatch(number):
            self._warn(name, text, BAD_PHONE)
            return None
        return number

    def _members(self) -> tuple[Member, ...]:
        members = (self._member(position) for position in range(1, len(MEMBERS) + 1))
        return tuple(member for member in members if member)

    def _member(self, position: int) -> Member | None:
        prefix = f"member{position}_"
        name = self._text(prefix + "name")
        if not name:
            return None
        defect = find_name_defect(name)
        if defect is NAME_PLACEHOLDER:
            self._warn(prefix + "name", name, defect)
            return None
        if defect:
            self._error(prefix + "name", name, defect)
        flag = self._text(prefix + "is_guardian")
        answer = _spellings("is_guardian").get(match_key(flag))
        if flag and answer is None:
            self._warn(prefix + "is_guardian", flag, GUARDIAN_UNCLEAR)
        return Member(
            position=position,
            name=name,
            relation=self._text(prefix + "relation") or None,
            is_guardian=answer == YesNo.YES,
            phone=self._phone(prefix + "phone"),
        )

    def _extras(self) -> dict[str, str]:
        extra = self._context.header.extra
        filled = ((extra[index], plain(cell)) for index, cell in self._raw.cells.items() if index in extra)
        return {header: text for header, text in filled if text}

    def _check_extras(self) -> None:
        """An error of a formula in a column that is only kept is an error too: its content would be lost."""
        for index, header in self._context.header.extra.items():
            cell = self._raw.cells.get(index, "")
            if cell and is_error(cell):
                self._failed = True
                place = ColumnRef(index, header, personal=False)
                issue = place.issue(self._context.sheet, self._raw.number, cell, EXCEL_ERROR, Severity.ERROR)
                self.issues.append(issue)

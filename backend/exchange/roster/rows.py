"""One row of a roster: checked cell by cell and against itself, then a typed student."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import TypeVar

from backend.exchange.roster.cells import (
    EXCEL_ERRORS,
    RawRow,
    half_width,
    lost_precision,
    parse_day,
    parse_month,
    plain,
)
from backend.exchange.roster.header import Header
from backend.exchange.roster.issues import (
    BAD_DAY,
    BAD_LENGTH,
    BAD_MONTH,
    BAD_NAME,
    BAD_PHONE,
    BIRTH_DATE_DIFFERS,
    EXCEL_ERROR,
    GUARDIAN_UNCLEAR,
    PRECISION_LOST,
    REQUIRED,
    SEX_DIFFERS,
    Place,
    RowIssue,
    Severity,
    not_in_list,
)
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

_NAME = re.compile(r"[^\d\x00-\x1f\x7f]{1,50}")
_PHONE = re.compile(r"1[3-9][0-9]{9}|0[0-9]{2,3}-?[0-9]{7,8}(-[0-9]{1,6})?|[2-9][0-9]{6,7}")
_YEARS = re.compile(r"[0-9](\.[05])?")
_ROUNDED = "000"
"""How a long number ends that went through a numeric cell."""

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


@dataclass(frozen=True, slots=True)
class RosterRow:
    """A student as the roster states them. `entry_month` is `YYYY-MM`; `extras` the other filled columns by header."""

    sheet: str
    row: int
    name: str = field(repr=False)
    sex: Sex
    birth_date: date = field(repr=False)
    document_kind: DocumentKind
    document_number: str = field(repr=False)
    student_number: str | None = field(repr=False)
    class_name: str
    programme: Programme
    study_form: StudyForm
    attendance: str | None
    entry_month: str
    major: str
    length_years: Decimal | None
    phone: str | None = field(repr=False)
    members: tuple[Member, ...] = field(repr=False)
    extras: Mapping[str, str] = field(repr=False)

    @property
    def guardians(self) -> tuple[Member, ...]:
        """The members whom the roster marks as guardians."""
        return tuple(member for member in self.members if member.is_guardian)


@dataclass(frozen=True, slots=True)
class SheetContext:
    """What all rows of a sheet share: its name and header, day zero of its serial dates, and today."""

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
    """The student of a row, or None where an error keeps the row out; and every finding about it."""
    reading = _Reading(context, raw)
    row = reading.row()
    return row, reading.issues


class _Reading:
    """The state of reading one row: its cells and the findings so far."""

    def __init__(self, context: SheetContext, raw: RawRow) -> None:
        self.issues: list[RowIssue] = []
        self._context = context
        self._raw = raw
        self._failed = False

    def row(self) -> RosterRow | None:
        """Read every field, so that a person sees all findings of a row at once."""
        name = self._name()
        sex = self._coded("sex", Sex)
        birth_date = self._birth_date()
        kind = self._coded("document_kind", DocumentKind)
        document = self._document(kind)
        student_number = self._student_number(document)
        class_name, major = self._required("class_name"), self._required("major")
        programme = self._coded("programme", Programme)
        study_form = self._coded("study_form", StudyForm)
        entry_month = self._entry_month()
        if isinstance(document, IdNumber):
            self._compare(document, birth_date, sex)
        attendance, length_years = self._text("attendance"), self._length_years()
        phone, members = self._phone("phone"), self._members()
        # Whatever is None has left an error; naming each tells the type checker so.
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
        """The field's text, with a finding where it is a formula error."""
        text = plain(self._cell(name))
        if text in EXCEL_ERRORS:
            self._error(name, text, EXCEL_ERROR)
            return ""
        return text

    def _report(self, name: str, value: str, defect: Defect, severity: Severity) -> None:
        place = self._context.header.fields.get(name) or Place(-1, name, personal=True)
        self.issues.append(place.issue(self._context.sheet, self._raw.number, value, defect, severity))

    def _error(self, name: str, value: str, defect: Defect) -> None:
        self._failed = True
        self._report(name, value, defect, Severity.ERROR)

    def _warn(self, name: str, value: str, defect: Defect) -> None:
        self._report(name, value, defect, Severity.WARNING)

    def _required(self, name: str) -> str:
        text = self._text(name)
        if not text and plain(self._cell(name)) not in EXCEL_ERRORS:
            self._error(name, text, REQUIRED)
        return text

    def _name(self) -> str:
        name = self._required("name")
        if name and not _NAME.fullmatch(name):
            self._error("name", name, BAD_NAME)
        return name

    def _coded(self, name: str, codes: type[Code]) -> Code | None:
        text = self._required(name)
        if not text:
            return None
        spellings = _spellings(name)
        value = spellings.get(text) or spellings.get(half_width(text))
        if value is None:
            self._error(name, text, _not_in_list(name))
            return None
        return codes(value)

    def _birth_date(self) -> date | None:
        text = self._required("birth_date")
        if not text:
            return None
        day = parse_day(half_width(text), epoch=self._context.epoch)
        if day is None or day >= self._context.today:
            self._error("birth_date", text, BAD_DAY)
            return None
        return day

    def _entry_month(self) -> str | None:
        text = self._required("entry_month")
        if not text:
            return None
        month = parse_month(half_width(text), epoch=self._context.epoch)
        if month is None:
            self._error("entry_month", text, BAD_MONTH)
        return month

    def _document(self, kind: DocumentKind | None) -> IdNumber | str | None:
        cell, text = self._cell("document_number"), half_width(self._required("document_number"))
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
        cell, text = self._cell("student_number"), half_width(self._text("student_number"))
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

    def _compare(self, document: IdNumber, birth_date: date | None, sex: Sex | None) -> None:
        if birth_date is not None and birth_date != document.birth_date:
            self._error("birth_date", birth_date.isoformat(), BIRTH_DATE_DIFFERS)
        if sex is not None and sex != document.sex:
            self._error("sex", self._text("sex"), SEX_DIFFERS)

    def _length_years(self) -> Decimal | None:
        text = half_width(self._text("length_years")).removesuffix("制").removesuffix("年")
        if not text:
            return None
        if not _YEARS.fullmatch(text):
            self._warn("length_years", text, BAD_LENGTH)
            return None
        return Decimal(text)

    def _phone(self, name: str) -> str | None:
        """Contact data never keeps a student off the roll: a bad number is left out, with a warning."""
        text = half_width(self._text(name))
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
        flag = self._text(prefix + "is_guardian")
        says = _spellings("is_guardian").get(flag)
        if flag and says is None:
            self._warn(prefix + "is_guardian", flag, GUARDIAN_UNCLEAR)
        return Member(
            position=position,
            name=name,
            relation=self._text(prefix + "relation") or None,
            is_guardian=says == YesNo.YES,
            phone=self._phone(prefix + "phone"),
        )

    def _extras(self) -> dict[str, str]:
        kept = self._context.header.kept
        filled = ((kept[index], plain(cell)) for index, cell in self._raw.cells.items() if index in kept)
        return {header: text for header, text in filled if text and text not in EXCEL_ERRORS}

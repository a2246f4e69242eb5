"""Whether a new student may be registered, and by when (MOE19-2.3a, XZ69-3.1, HRSS28-2.1, HRSS28-2.2). Pure.

A *season* is the spring or the autumn of a year. Every season has a cut-off; the day itself is in time. Of all
cut-offs in force at the school's place, national and local, the earliest one decides.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from backend.org.calendar import WorkingCalendar
from backend.policy.history import Citation


class Half(StrEnum):
    """The half of a year in which students enter."""

    SPRING = "spring"
    AUTUMN = "autumn"


@dataclass(frozen=True, slots=True)
class Season:
    """An intake season, such as the autumn of 2026; `code` is `2026-autumn`."""

    year: int
    half: Half

    @property
    def code(self) -> str:
        return f"{self.year}-{self.half}"

    @property
    def order(self) -> tuple[int, bool]:
        """Sorts by time: spring comes before autumn."""
        return self.year, self.half is Half.AUTUMN

    @classmethod
    def parse(cls, code: str) -> "Season":
        """The inverse of `code`. Raises `ValueError`."""
        year, _, half = code.partition("-")
        return cls(int(year), Half(half))


@dataclass(frozen=True, slots=True)
class CutOffRule:
    """A cut-off of one instrument: month and day in the year of the season. `programme` None means every programme."""

    half: Half
    programme: str | None
    month: int
    day: int
    citation: Citation


@dataclass(frozen=True, slots=True)
class CutOff:
    """The cut-off that applies to a season: its last day, and the instrument that sets it."""

    day: date
    citation: Citation


class Basis(StrEnum):
    """Why a student is on the roll."""

    NEW = "new"
    """Registered in the student's own season, by its cut-off."""
    CARRIED_OVER = "carried_over"
    """Registered before the school used the product, and loaded with its first rosters or with a permission."""
    TRANSFER = "transfer"
    """Came from another school, where the student was registered."""


class Refusal(StrEnum):
    """Why a row of a roster is not registered."""

    CLOSED = "registration_closed"
    AHEAD = "season_not_open"
    CATEGORY = "category_not_registrable"
    SUSPENDED = "registration_suspended"
    STOPPED = "intake_stopped"
    UNLICENSED = "school_unlicensed"
    NOT_INSPECTED = "school_not_inspected"


@dataclass(frozen=True, slots=True)
class NewStudent:
    """What the decision depends on; rows of a roster that agree in it share one decision.

    `entry_month` is `YYYYMM`. `category` is a code of 招生对象, or None if the roster does not state a known one.
    """

    programme: str
    study_form: str
    category: str | None
    entry_month: str


@dataclass(frozen=True, slots=True)
class SchoolIntake:
    """The school's side of the decision.

    `first_roster_on`: the day of its first roster, None before it. `added_until`: the last day of a permission of the
    superior to add students who were registered earlier. `refusal`: why the school may not
    register new students, see `schools.rules.intake_refusal`.
    """

    first_roster_on: date | None
    added_until: date | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class RegistrationLaw:
    """The law of registration on one day at one place."""

    half_of_month: Mapping[int, Half]
    cut_offs: tuple[CutOffRule, ...]
    refused_categories: frozenset[tuple[str, str, str]]
    """Programme, category and study form."""
    record_working_days: int
    initial_load: timedelta
    version: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on a new student: a basis, or a refusal. `cut_off` is what applied to the season."""

    season: Season
    cut_off: CutOff
    basis: Basis | None
    refusal: Refusal | None


def season_of(entry_month: str, law: RegistrationLaw) -> Season:
    """The season of an entry month (`YYYYMM`)."""
    return Season(int(entry_month[:4]), law.half_of_month[int(entry_month[4:])])


def find_cut_off(season: Season, programme: str, law: RegistrationLaw) -> CutOff:
    """The earliest cut-off for the season and programme; of equal ones the nearest place's, which is listed first."""
    applicable = [
        CutOff(date(season.year, rule.month, rule.day), rule.citation)
        for rule in law.cut_offs
        if rule.half is season.half and rule.programme in {None, programme}
    ]
    return min(applicable, key=lambda found: found.day)


def decide_registration(
    student: NewStudent, school: SchoolIntake, law: RegistrationLaw, today: date
) -> Decision:
    """Decide whether a student who is on no roll may be registered on a day.

    A measure against the school stops new registrations only: students who were registered earlier may still be
    carried over, because they are the school's students whatever happened to it since.
    """
    season = season_of(student.entry_month, law)
    cut_off = find_cut_off(season, student.programme, law)

    def refuse(reason: Refusal) -> Decision:
        return Decision(season, cut_off, None, reason)

    if (student.programme, student.category, student.study_form) in law.refused_categories:
        return refuse(Refusal.CATEGORY)
    if season.order > season_of(f"{today:%Y%m}", law).order:
        return refuse(Refusal.AHEAD)
    if today <= cut_off.day:
        return refuse(school.refusal) if school.refusal else Decision(season, cut_off, Basis.NEW, None)
    if _may_carry_over(cut_off, school, law, today):
        return Decision(season, cut_off, Basis.CARRIED_OVER, None)
    return refuse(Refusal.CLOSED)


def _may_carry_over(cut_off: CutOff, school: SchoolIntake, law: RegistrationLaw, today: date) -> bool:
    if school.added_until is not None and today <= school.added_until:
        return True
    first = school.first_roster_on or today
    return cut_off.day < first and today <= first + law.initial_load


def entry_day(entry_month: str, term_starts: Iterable[date]) -> date:
    """The day of entry: the first day of the term that begins in the entry month, else the first of the month.

    A roster states only the month. Counting begins with the day on which the school's students come.
    """
    year, month = int(entry_month[:4]), int(entry_month[4:])
    in_month = [day for day in term_starts if (day.year, day.month) == (year, month)]
    return min(in_month, default=date(year, month, 1))


def record_deadline(entered_on: date, law: RegistrationLaw, calendar: WorkingCalendar) -> date:
    """The last day for the electronic record: working days from the day after entry (MOE19-2.3a).

    Raises `CalendarYearMissing`.
    """
    return calendar.add_working_days(entered_on, law.record_working_days)

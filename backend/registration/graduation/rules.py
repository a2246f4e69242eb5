"""When graduation is processed, and what blocks it (MOE19-2.3c, HRSS28-2.4). Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from backend.org.calendar import WorkingCalendar

ONE_DAY = timedelta(days=1)


class Result(StrEnum):
    """How a student finishes; the values are national codes of standing."""

    GRADUATED = "07"
    """毕业"""
    COMPLETED = "08"
    """结业"""


class Timing(StrEnum):
    """A day in relation to the window of graduation."""

    EARLY = "early"
    IN_TIME = "in_time"
    LATE = "late"


class Blocker(StrEnum):
    """What must be done before a student graduates. Aid data come first (在办理毕业手续之前…完成资助信息填报)."""

    AID_UNDECIDED = "aid_undecided"
    AID_UNPAID = "aid_unpaid"
    AID_UNFILED = "aid_unfiled"
    STANDING = "standing"
    OPEN_PROMPT = "open_prompt"
    OPEN_APPEAL = "open_appeal"
    NO_PHOTOGRAPH = "no_photograph"


@dataclass(frozen=True, slots=True)
class GraduationLaw:
    """The law on one day at one place."""

    window_working_days: int
    standings: Collection[str]


@dataclass(frozen=True, slots=True)
class Window:
    """The days on which graduation is processed; both are included."""

    first_day: date
    leaving_on: date

    def timing(self, day: date) -> Timing:
        """Tell whether a day is before, in or after the window."""
        if day < self.first_day:
            return Timing.EARLY
        return Timing.IN_TIME if day <= self.leaving_on else Timing.LATE


@dataclass(frozen=True, slots=True)
class StudentState:
    """What graduation depends on. `unpaid_months` are due and not paid; `undecided` and `unfiled` are counts of aid papers."""

    standing: str
    undecided: int = 0
    unpaid_months: tuple[date, ...] = ()
    unfiled: int = 0
    open_prompts: int = 0
    open_appeals: int = 0
    has_photograph: bool = True


def graduation_window(leaving_on: date, law: GraduationLaw, calendar: WorkingCalendar) -> Window:
    """The window that ends on the day of leaving. Raises `CalendarYearMissing`.

    It begins on the earliest day from which at most the given number of working days remain until that day.
    """
    first_day, remaining = leaving_on, 0
    while True:
        remaining += calendar.is_working_day(first_day)
        if remaining > law.window_working_days:
            return Window(first_day, leaving_on)
        first_day -= ONE_DAY


def find_blockers(student: StudentState, law: GraduationLaw) -> tuple[Blocker, ...]:
    """What is missing, in the order in which a school settles it; empty if the student may graduate."""
    missing = {
        Blocker.AID_UNDECIDED: student.undecided > 0,
        Blocker.AID_UNPAID: bool(student.unpaid_months),
        Blocker.AID_UNFILED: student.unfiled > 0,
        Blocker.STANDING: student.standing not in law.standings,
        Blocker.OPEN_PROMPT: student.open_prompts > 0,
        Blocker.OPEN_APPEAL: student.open_appeals > 0,
        Blocker.NO_PHOTOGRAPH: not student.has_photograph,
    }
    return tuple(blocker for blocker, is_missing in missing.items() if is_missing)

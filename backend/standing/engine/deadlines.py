"""The registrar's five working days and the reminders in them (HN334-4.1b, reading 7)."""

from dataclasses import dataclass
from datetime import date, datetime

from backend.core.clock import legal_day
from backend.leave.rules import TICK
from backend.org.calendar import CalendarYearMissing, WorkingCalendar
from backend.standing.engine.facts import CalendarYearLoaded
from backend.standing.policy import StandingPolicy


@dataclass(frozen=True, slots=True)
class Reminder:
    """The registrar is reminded on this legal day, the `working_day`-th after delivery."""

    working_day: int
    on: date


@dataclass(frozen=True, slots=True)
class Deadline:
    """When the decision is due. `at` is exclusive: 24:00 of the last working day.

    Not computable while a year on the way is missing from the calendar: `missing_year` names it, `at` is None, and
    nothing expires; a year that was loaded late ends the wait at the instant it was loaded.
    """

    at: datetime | None
    missing_year: int | None
    reminders: tuple[Reminder, ...]


def deadline(
    delivered_at: datetime,
    law: StandingPolicy,
    calendar: WorkingCalendar,
    loads: tuple[CalendarYearLoaded, ...],
    as_of: datetime,
) -> Deadline:
    """The deadline as it can be known at the instant; fails closed (reading 7)."""
    delivered_on = legal_day(delivered_at)
    reminders: list[Reminder] = []
    try:
        reminders.extend(
            Reminder(number, calendar.add_working_days(delivered_on, number)) for number in law.reminder_days
        )
        due = calendar.deadline_instant(delivered_at, law.deadline_days)
    except CalendarYearMissing as missing:
        return Deadline(None, int(missing.params["year"]), tuple(reminders))
    on_the_way = range(delivered_on.year, legal_day(due - TICK).year + 1)
    late = sorted(load.year for load in loads if load.at > as_of and load.year in on_the_way)
    if late:
        return Deadline(None, late[0], tuple(item for item in reminders if item.on.year < late[0]))
    return Deadline(due, None, tuple(reminders))

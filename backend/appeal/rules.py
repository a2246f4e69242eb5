"""Whom an appeal goes to, who may not decide it, and by when it is due. Pure (HN334-4.2; readings 7 and 11).

The notice says "to the superior". We read: level one is the authority nearest above the school that had no hand in
what is appealed against (the launcher of a check, the authority that decided or determined); level two the next
above it, again without a hand in it. Where none is left the province decides, by an account that took no part: so it
is for schools directly under it, and for its own checks.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from backend.org.calendar import CalendarYearMissing, WorkingCalendar


@dataclass(frozen=True, slots=True)
class Authority:
    """A unit above a school."""

    id: UUID
    path: str


def instance(
    superiors: Sequence[Authority], took_part: Collection[UUID], below: UUID | None = None
) -> Authority:
    """The authority that decides; `superiors` nearest first, `below` the one that rejected the appeal before."""
    ids = [authority.id for authority in superiors]
    left = superiors[ids.index(below) + 1 :] if below in ids else superiors
    return next((authority for authority in left if authority.id not in took_part), superiors[-1])


class CaseState(StrEnum):
    """Where an appeal stands."""

    OPEN = "open"
    UPHELD = "upheld"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Due:
    """24:00 of the last working day (exclusive), or the calendar year that keeps it from being known."""

    at: datetime | None
    missing_year: int | None


def due(filed_at: datetime, working_days: int, calendar: WorkingCalendar) -> Due:
    """By when to decide; fails closed where the calendar does not cover the way (reading 7)."""
    try:
        return Due(calendar.deadline_instant(filed_at, working_days), None)
    except CalendarYearMissing as missing:
        return Due(None, int(missing.params["year"]))


def reminder_due(
    filed_on: date, today: date, marks: Collection[int], given: Collection[int], calendar: WorkingCalendar
) -> int | None:
    """The latest mark (a number of working days) that is reached and later than all that were given.

    Marks that a long outage skipped are not given one after the other. None also where the calendar does not
    reach today.
    """
    if today <= filed_on:
        return None
    try:
        passed = calendar.working_days_between(filed_on, today)
    except CalendarYearMissing:
        return None
    reached = max((mark for mark in marks if mark <= passed), default=None)
    return reached if reached is not None and reached > max(given, default=0) else None


def exam_year(day: date, begins_in_month: int) -> int:
    """The gaokao whose year the day belongs to: from the month on, that of the next calendar year."""
    return day.year + (day.month >= begins_in_month)

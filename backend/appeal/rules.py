"""Rules of appeals: the deciding authority, the deadline and the reminders. Pure (HN334-4.2; readings 7 and 11).

The instrument says only "to the superior". Our reading: level one is the nearest authority above the school that took no
part in the matter under appeal (did not launch the roll call, did not decide or determine the result). Level two is the
next authority above it that took no part. If none is left, the province decides, by an account that took no part; this
applies to schools directly under the province and to roll calls that the province launched.
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


def deciding_authority(
    superiors: Sequence[Authority], took_part: Collection[UUID], below: UUID | None = None
) -> Authority:
    """The authority that decides. `superiors`: nearest first; `below`: the authority that rejected the appeal."""
    ids = [authority.id for authority in superiors]
    candidates = superiors[ids.index(below) + 1 :] if below in ids else superiors
    return next((authority for authority in candidates if authority.id not in took_part), superiors[-1])


class AppealState(StrEnum):
    """The state of an appeal."""

    OPEN = "open"
    UPHELD = "upheld"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    ENDED = "ended"
    """The change under appeal was reversed in another way, so there is nothing left to decide."""


@dataclass(frozen=True, slots=True)
class AppealDeadline:
    """24:00 of the last working day (exclusive), or the calendar year that is missing to compute it."""

    at: datetime | None
    missing_year: int | None


def appeal_deadline(filed_at: datetime, working_days: int, calendar: WorkingCalendar) -> AppealDeadline:
    """The deadline of the decision; names the missing year if the calendar does not cover it (reading 7)."""
    try:
        return AppealDeadline(calendar.deadline_instant(filed_at, working_days), None)
    except CalendarYearMissing as missing:
        return AppealDeadline(None, int(missing.params["year"]))


def due_reminder(
    filed_on: date, today: date, reminders: Collection[int], sent: Collection[int], calendar: WorkingCalendar
) -> int | None:
    """The latest reminder (a number of working days) that is due and later than all sent ones, or None.

    Reminders that a long outage skipped are not sent later. None also if the calendar does not cover today.
    """
    if today <= filed_on:
        return None
    try:
        passed = calendar.working_days_between(filed_on, today)
    except CalendarYearMissing:
        return None
    reached = max((reminder for reminder in reminders if reminder <= passed), default=None)
    return reached if reached is not None and reached > max(sent, default=0) else None


def exam_year(day: date, begins_in_month: int) -> int:
    """The year of the gaokao that the day belongs to: from `begins_in_month` on, the next calendar year."""
    return day.year + (day.month >= begins_in_month)

"""The rules of leave, pure: requests and their times in; what is exempt and how many days are used out.

HN334-3.5a and 3.5b, readings 4 and 6. An instant is timezone-aware; a day is a legal day in Asia/Shanghai.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Self

from backend.core.clock import LEGAL_ZONE, legal_day
from backend.org.calendar import WorkingCalendar
from backend.policy import PolicyAt

ONE_DAY = timedelta(days=1)
NO_TIME = timedelta(0)
TICK = timedelta.resolution


@dataclass(frozen=True, slots=True)
class SchoolTerm:
    """A term as it holds in the student's school; the first and last days of term and vacations belong to them."""

    code: str
    starts_on: date
    ends_on: date
    vacations: tuple[tuple[date, date], ...] = ()

    def covers(self, day: date) -> bool:
        return self.starts_on <= day <= self.ends_on

    def in_session(self, day: date) -> bool:
        """A day of the term that lies in no vacation."""
        return self.covers(day) and not any(first <= day <= last for first, last in self.vacations)


class LeaveState(StrEnum):
    """What a request is at an instant."""

    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class LeaveInterval:
    """One request for leave. `ends_at` is exclusive: three whole days end at 24:00 of the third.

    `returned_at` is when the student was back (销假); `return_recorded_at` when that became known, the same
    instant unless told otherwise. A cancellation before the start undoes the leave; a later one ends it.
    """

    leave_id: str
    filed_at: datetime
    starts_at: datetime
    ends_at: datetime
    approved_at: datetime | None = None
    refused_at: datetime | None = None
    cancelled_at: datetime | None = None
    returned_at: datetime | None = None
    return_recorded_at: datetime | None = None

    def state(self, as_of: datetime) -> LeaveState | None:
        """What is known of the request at the instant; None before it is filed."""
        if as_of < self.filed_at:
            return None
        if _by(self.cancelled_at, as_of):
            return LeaveState.CANCELLED
        if _by(self.refused_at, as_of):
            return LeaveState.REFUSED
        if not _by(self.approved_at, as_of):
            return LeaveState.PENDING
        return LeaveState.RETURNED if self.return_known(as_of) else LeaveState.APPROVED

    def return_known(self, as_of: datetime) -> bool:
        return _by(self.return_recorded_at or self.returned_at, as_of)

    def span(self, as_of: datetime) -> tuple[datetime, datetime] | None:
        """The stretch under approved leave as it is known at the instant, planned days included; None if empty.

        A return ends it (reading 4). Coming back late does not lengthen it: the overstay was never granted.
        """
        if not _by(self.approved_at, as_of) or _by(self.refused_at, as_of):
            return None
        ends = [self.ends_at]
        if self.returned_at is not None and self.return_known(as_of):
            ends.append(self.returned_at)
        if self.cancelled_at is not None and self.cancelled_at <= as_of:
            ends.append(self.cancelled_at)
        end = min(ends)
        return (self.starts_at, end) if self.starts_at < end else None

    def instants(self) -> tuple[datetime, ...]:
        """Every instant at which something about the request may change."""
        times = (
            self.filed_at,
            self.approved_at,
            self.refused_at,
            self.cancelled_at,
            self.return_recorded_at or self.returned_at,
        )
        return tuple(at for at in times if at is not None)


def _by(at: datetime | None, as_of: datetime) -> bool:
    return at is not None and at <= as_of


# --- exemption (HN334-3.5a, reading 6) ---


@dataclass(frozen=True, slots=True)
class NoticedWindow:
    """The window of a roll call and the instant its notice went out."""

    notified_at: datetime
    opens_at: datetime
    closes_at: datetime


class Exemption(StrEnum):
    """What leave means for one roll call."""

    EXEMPT = "exempt"
    CLAIM = "claim"
    """It covers the window but was filed, or only approved, after the notice: a reason to be judged, not a right."""
    NONE = "none"


def longest_free(window: tuple[datetime, datetime], taken: Iterable[tuple[datetime, datetime]]) -> timedelta:
    """The longest unbroken stretch of the window that no interval takes."""
    free_from, closes_at = window
    longest = NO_TIME
    for begins, ends in sorted(taken):
        longest = max(longest, min(begins, closes_at) - free_from)
        free_from = max(free_from, min(ends, closes_at))
    return max(longest, closes_at - free_from)


def exempts(
    leaves: Iterable[LeaveInterval], window: NoticedWindow, minimum: timedelta, as_of: datetime
) -> Exemption:
    """Whether leave covers the window or leaves less than the minimum window, and from when it stood.

    Approved by the time of the notice, it exempts. Filed or approved after it, it is a claim of a justified reason,
    so that a school cannot hide absentees once a check is known. Pending leave does not exempt; a claim that is
    still pending is one all the same. Several requests are judged together.
    """
    known = [leave for leave in leaves if leave.state(as_of) not in {None, LeaveState.REFUSED}]
    stood = [leave for leave in known if _by(leave.approved_at, window.notified_at)]
    if _fills([span for leave in stood if (span := leave.span(as_of))], window, minimum):
        return Exemption.EXEMPT
    asked = [span for leave in known if (span := leave.span(as_of) or _asked_span(leave, as_of)) is not None]
    return Exemption.CLAIM if _fills(asked, window, minimum) else Exemption.NONE


def _asked_span(leave: LeaveInterval, as_of: datetime) -> tuple[datetime, datetime] | None:
    return (leave.starts_at, leave.ends_at) if leave.state(as_of) is LeaveState.PENDING else None


def _fills(spans: list[tuple[datetime, datetime]], window: NoticedWindow, minimum: timedelta) -> bool:
    """Whether the spans touch the window and leave less than the minimum of it."""
    touching = [span for span in spans if span[0] < window.closes_at and window.opens_at < span[1]]
    return bool(touching) and longest_free((window.opens_at, window.closes_at), touching) < minimum


# --- days of a term (HN334-3.5b, reading 4) ---


class DayCount(StrEnum):
    """The policy switch `leave.day_count`."""

    CALENDAR = "calendar_days"
    TEACHING = "teaching_days"


@dataclass(frozen=True, slots=True)
class LeavePolicy:
    """The figures of leave in force on one day."""

    day_count: DayCount
    cap: int
    prompt_from: int
    warn_at: tuple[int, ...]

    @classmethod
    def at(cls, law: PolicyAt) -> Self:
        return cls(
            DayCount(law.text("leave.day_count")),
            law.integer("leave.cap"),
            law.integer("leave.suspension_prompt_from"),
            law.integers("leave.warnings"),
        )


def countable(term: SchoolTerm, mode: DayCount, calendar: WorkingCalendar) -> Callable[[date], bool]:
    """Which days of the term count as leave: all but vacations, or of those the working days.

    In the teaching-day mode the answer raises `CalendarYearMissing` for a year that is not loaded.
    """
    if mode is DayCount.CALENDAR:
        return term.in_session
    return lambda day: term.in_session(day) and calendar.is_working_day(day)


def days_used(
    leaves: Iterable[LeaveInterval], as_of: datetime, counts: Callable[[date], bool]
) -> tuple[date, ...]:
    """The days on which approved leave has been in effect up to the instant, each once, in order.

    A legal day counts as soon as leave touches it: half a day of leave is a day of leave.
    """
    so_far = as_of + TICK
    return _days(((start, min(end, so_far)) for start, end in _spans(leaves, as_of)), counts)


def days_planned(
    leaves: Iterable[LeaveInterval], as_of: datetime, counts: Callable[[date], bool]
) -> tuple[date, ...]:
    """The days used together with those that approved leave will still take, if nobody returns early."""
    return _days(_spans(leaves, as_of), counts)


def _spans(leaves: Iterable[LeaveInterval], as_of: datetime) -> list[tuple[datetime, datetime]]:
    return [span for leave in leaves if (span := leave.span(as_of)) is not None]


def _days(spans: Iterable[tuple[datetime, datetime]], counts: Callable[[date], bool]) -> tuple[date, ...]:
    """The legal days touched by half-open spans that count, each once."""
    touched: set[date] = set()
    for start, end in spans:
        if start < end:
            first, last = legal_day(start), legal_day(end - TICK)
            touched |= {first + ONE_DAY * offset for offset in range((last - first).days + 1)}
    return tuple(sorted(day for day in touched if counts(day)))


@dataclass(frozen=True, slots=True)
class LeaveTally:
    """Leave in one term at an instant, in days by the mode of the law."""

    term: str
    used: tuple[date, ...]
    planned: int
    cap: int
    over: bool
    """The day that opens a prompt for suspension has been reached."""
    warning: int | None
    """The highest warning mark of the law reached by the days used, while still within the cap."""
    plan_exceeds: bool
    """Approved leave will pass the cap unless the student returns early."""

    @property
    def left(self) -> int:
        return max(0, self.cap - len(self.used))


def tally(
    leaves: Iterable[LeaveInterval],
    term: SchoolTerm,
    as_of: datetime,
    law: LeavePolicy,
    calendar: WorkingCalendar,
) -> LeaveTally:
    """Count a term's leave; raises `CalendarYearMissing` where the mode needs a year that is not loaded."""
    held = tuple(leaves)
    counts = countable(term, law.day_count, calendar)
    used = days_used(held, as_of, counts)
    planned = len(days_planned(held, as_of, counts))
    over = len(used) >= law.prompt_from
    reached = [mark for mark in law.warn_at if mark <= len(used)]
    return LeaveTally(
        term.code,
        used,
        planned,
        law.cap,
        over,
        max(reached) if reached and not over else None,
        planned > law.cap,
    )


def midnights(spans: Iterable[tuple[datetime, datetime]]) -> tuple[datetime, ...]:
    """The instants at which leave touches a new legal day: each start, and each midnight inside."""
    found: set[datetime] = set()
    for start, end in spans:
        found.add(start)
        midnight = datetime.combine(legal_day(start) + ONE_DAY, time.min, tzinfo=LEGAL_ZONE)
        while midnight < end:
            found.add(midnight)
            midnight += ONE_DAY
    return tuple(sorted(found))

"""Rules of leave, pure: which roll calls leave exempts from, and how many days of the term it uses.

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
    """A term of the student's school. First and last days of term and vacations are inclusive.

    `declared_at` says for each vacation when it was declared (None or no entry: before any event).
    """

    code: str
    starts_on: date
    ends_on: date
    vacations: tuple[tuple[date, date], ...] = ()
    declared_at: tuple[datetime | None, ...] = ()

    def covers(self, day: date) -> bool:
        return self.starts_on <= day <= self.ends_on

    def in_session(self, day: date) -> bool:
        """Whether the day is in the term and not in a vacation."""
        return self.covers(day) and not any(first <= day <= last for first, last in self.vacations)

    def touches_vacation(self, first: date, last: date, known_at: datetime) -> bool:
        """Whether a day from `first` to `last` lies in a vacation that had been declared by the instant."""
        declared = (*self.declared_at, *(None for _ in self.vacations[len(self.declared_at) :]))
        return any(
            (at is None or at <= known_at) and starts_on <= last and first <= ends_on
            for (starts_on, ends_on), at in zip(self.vacations, declared, strict=True)
        )


class LeaveState(StrEnum):
    """State of a request at an instant."""

    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class LeaveInterval:
    """One request for leave. `ends_at` is exclusive: three whole days end at 24:00 of the third.

    `returned_at` is the actual return (销假), `return_recorded_at` when it was recorded (default: the same). A
    cancellation before the start voids the leave; a later one ends it.
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
        """The state by the facts known at the instant; None before the request is filed."""
        if as_of < self.filed_at:
            return None
        if _not_later_than(self.cancelled_at, as_of):
            return LeaveState.CANCELLED
        if _not_later_than(self.refused_at, as_of):
            return LeaveState.REFUSED
        if not _not_later_than(self.approved_at, as_of):
            return LeaveState.PENDING
        return LeaveState.RETURNED if self.return_known(as_of) else LeaveState.APPROVED

    def return_known(self, as_of: datetime) -> bool:
        return _not_later_than(self.return_recorded_at or self.returned_at, as_of)

    def span(self, as_of: datetime) -> tuple[datetime, datetime] | None:
        """The interval of approved leave as known at the instant, including future days; None if empty.

        A return ends it (reading 4). A late return does not extend it, because the extra days were never approved.
        """
        if not _not_later_than(self.approved_at, as_of) or _not_later_than(self.refused_at, as_of):
            return None
        ends = [self.ends_at]
        if self.returned_at is not None and self.return_known(as_of):
            ends.append(self.returned_at)
        if self.cancelled_at is not None and self.cancelled_at <= as_of:
            ends.append(self.cancelled_at)
        end = min(ends)
        return (self.starts_at, end) if self.starts_at < end else None

    def instants(self) -> tuple[datetime, ...]:
        """All instants at which the state may change."""
        times = (
            self.filed_at,
            self.approved_at,
            self.refused_at,
            self.cancelled_at,
            self.return_recorded_at or self.returned_at,
        )
        return tuple(at for at in times if at is not None)


def _not_later_than(at: datetime | None, as_of: datetime) -> bool:
    return at is not None and at <= as_of


# --- exemption (HN334-3.5a, reading 6) ---


@dataclass(frozen=True, slots=True)
class NoticedWindow:
    """The window of a roll call and the instant of its notice."""

    notified_at: datetime
    opens_at: datetime
    closes_at: datetime


class Exemption(StrEnum):
    """The effect of leave on one roll call."""

    EXEMPT = "exempt"
    CLAIM = "claim"
    """Leave covers the window but was filed or approved after the notice: a claim to be decided, not a right."""
    NONE = "none"


def find_longest_free_span(
    window: tuple[datetime, datetime], taken: Iterable[tuple[datetime, datetime]]
) -> timedelta:
    """The longest continuous part of the window outside all intervals."""
    free_from, closes_at = window
    longest = NO_TIME
    for begins, ends in sorted(taken):
        longest = max(longest, min(begins, closes_at) - free_from)
        free_from = max(free_from, min(ends, closes_at))
    return max(longest, closes_at - free_from)


def find_exemption(
    leaves: Iterable[LeaveInterval], window: NoticedWindow, minimum: timedelta, as_of: datetime
) -> Exemption:
    """Whether leave exempts from the window: it covers it, or leaves less than the minimum window free.

    Leave approved by the time of the notice exempts. Leave filed or approved later is only a claim of a justified
    reason, so that a school cannot hide absentees once a roll call is known. Pending leave never exempts, but can be
    a claim. Several requests are evaluated together.
    """
    known = [leave for leave in leaves if leave.state(as_of) not in {None, LeaveState.REFUSED}]
    in_force = [leave for leave in known if _not_later_than(leave.approved_at, window.notified_at)]
    if _covers_window([span for leave in in_force if (span := leave.span(as_of))], window, minimum):
        return Exemption.EXEMPT
    claimed = [
        span for leave in known if (span := leave.span(as_of) or _pending_span(leave, as_of)) is not None
    ]
    return Exemption.CLAIM if _covers_window(claimed, window, minimum) else Exemption.NONE


def _pending_span(leave: LeaveInterval, as_of: datetime) -> tuple[datetime, datetime] | None:
    return (leave.starts_at, leave.ends_at) if leave.state(as_of) is LeaveState.PENDING else None


def _covers_window(spans: list[tuple[datetime, datetime]], window: NoticedWindow, minimum: timedelta) -> bool:
    """Whether the spans overlap the window and leave less than the minimum free."""
    overlapping = [span for span in spans if span[0] < window.closes_at and window.opens_at < span[1]]
    return (
        bool(overlapping)
        and find_longest_free_span((window.opens_at, window.closes_at), overlapping) < minimum
    )


# --- days of a term (HN334-3.5b, reading 4) ---


class DayCount(StrEnum):
    """The policy switch `leave.day_count`."""

    CALENDAR = "calendar_days"
    TEACHING = "teaching_days"


@dataclass(frozen=True, slots=True)
class LeavePolicy:
    """Leave parameters in force on one day."""

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


def is_countable(term: SchoolTerm, mode: DayCount, calendar: WorkingCalendar) -> Callable[[date], bool]:
    """A predicate for the days that count: all days of the term except vacations, or only working days of those.

    In teaching-day mode it raises `CalendarYearMissing` for a calendar year that is not loaded.
    """
    if mode is DayCount.CALENDAR:
        return term.in_session
    return lambda day: term.in_session(day) and calendar.is_working_day(day)


def count_days_used(
    leaves: Iterable[LeaveInterval], as_of: datetime, counts: Callable[[date], bool]
) -> tuple[date, ...]:
    """The distinct days of approved leave up to the instant, in order.

    A legal day counts as soon as leave touches it: half a day of leave counts as one day.
    """
    so_far = as_of + TICK
    return _touched_days(((start, min(end, so_far)) for start, end in _approved_spans(leaves, as_of)), counts)


def count_days_planned(
    leaves: Iterable[LeaveInterval], as_of: datetime, counts: Callable[[date], bool]
) -> tuple[date, ...]:
    """The days used plus the future days of approved leave, assuming no early return."""
    return _touched_days(_approved_spans(leaves, as_of), counts)


def _approved_spans(leaves: Iterable[LeaveInterval], as_of: datetime) -> list[tuple[datetime, datetime]]:
    return [span for leave in leaves if (span := leave.span(as_of)) is not None]


def _touched_days(
    spans: Iterable[tuple[datetime, datetime]], counts: Callable[[date], bool]
) -> tuple[date, ...]:
    """The distinct counting legal days that half-open spans touch."""
    touched: set[date] = set()
    for start, end in spans:
        if start < end:
            first, last = legal_day(start), legal_day(end - TICK)
            touched |= {first + ONE_DAY * offset for offset in range((last - first).days + 1)}
    return tuple(sorted(day for day in touched if counts(day)))


@dataclass(frozen=True, slots=True)
class LeaveBalance:
    """Leave days in one term at an instant, counted by the mode of the policy."""

    term: str
    used: tuple[date, ...]
    planned: int
    cap: int
    over: bool
    """The number of days that opens a prompt for suspension has been reached."""
    warning: int | None
    """The highest warning threshold reached by the days used, while within the cap."""
    plan_exceeds: bool
    """Approved leave will exceed the cap unless the student returns early."""

    @property
    def left(self) -> int:
        return max(0, self.cap - len(self.used))


def count_leave_days(
    leaves: Iterable[LeaveInterval],
    term: SchoolTerm,
    as_of: datetime,
    law: LeavePolicy,
    calendar: WorkingCalendar,
) -> LeaveBalance:
    """Count the leave days of a term; raises `CalendarYearMissing` if the mode needs a calendar year not loaded."""
    requests = tuple(leaves)
    counts = is_countable(term, law.day_count, calendar)
    used = count_days_used(requests, as_of, counts)
    planned = len(count_days_planned(requests, as_of, counts))
    over = len(used) >= law.prompt_from
    reached = [mark for mark in law.warn_at if mark <= len(used)]
    return LeaveBalance(
        term.code,
        used,
        planned,
        law.cap,
        over,
        max(reached) if reached and not over else None,
        planned > law.cap,
    )


def day_starts(spans: Iterable[tuple[datetime, datetime]]) -> tuple[datetime, ...]:
    """The instants at which leave enters a new legal day: each start, and each midnight within."""
    instants: set[datetime] = set()
    for start, end in spans:
        instants.add(start)
        midnight = datetime.combine(legal_day(start) + ONE_DAY, time.min, tzinfo=LEGAL_ZONE)
        while midnight < end:
            instants.add(midnight)
            midnight += ONE_DAY
    return tuple(sorted(instants))

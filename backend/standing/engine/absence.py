"""Absence without leave (HN334-3.5c, reading 5): a spell of recorded absence, its alert and its limit.

Lack of evidence is never absence: a spell begins with a record and ends with any proof of presence or approved leave.
"""

import calendar
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache

from backend.core.clock import LEGAL_ZONE, legal_day
from backend.leave.rules import ONE_DAY, SchoolTerm
from backend.standing.engine.facts import StudentFacts
from backend.standing.engine.misses import CheckStatus, Exclusions, check_key, check_status, event_day
from backend.standing.policy import PolicyHistory

MONTHS = 12


def attendance_key(record_id: str) -> str:
    return f"attendance:{record_id}"


@dataclass(frozen=True, slots=True)
class AbsencePeriod:
    """Recorded absences with nothing in between that ends them; `records` are those up to the limit, in order.

    `alert_on` is the day on which an alert goes out. `limit_day` is the last day that is still exactly the law's
    number of months; the next day opens the prompt. None: not within the terms that are filed.
    """

    starts_on: date
    ended_at: datetime | None
    records: tuple[str, ...]
    alert_on: date | None
    limit_day: date | None

    @property
    def prompt_at(self) -> datetime | None:
        if self.limit_day is None:
            return None
        return datetime.combine(self.limit_day + ONE_DAY, time.min, tzinfo=LEGAL_ZONE)

    def over_limit(self, as_of: datetime) -> bool:
        """Whether it lasted past the limit by the instant; that the student came back later does not undo that."""
        at = self.prompt_at
        return at is not None and at <= as_of and (self.ended_at is None or at < self.ended_at)


def absence_periods(
    facts: StudentFacts, book: PolicyHistory, strikes: Exclusions, as_of: datetime
) -> tuple[AbsencePeriod, ...]:
    """Every spell known at the instant, in order; the last one runs if it has not ended."""
    absences: list[tuple[datetime, str]] = []
    ends: list[datetime] = []
    for at, key, present in _records(facts, book, strikes, as_of):
        ends += [at] if present else []
        absences += [] if present else [(at, key)]
    for leave in facts.leaves:
        span = leave.span(as_of)
        if span is not None and span[0] <= as_of:
            ends.append(span[0])
            absences = [absence for absence in absences if not span[0] <= absence[0] < span[1]]
    by_end: dict[datetime | None, list[tuple[datetime, str]]] = {}
    for absence in sorted(absences):
        if absence[0] not in ends:
            by_end.setdefault(min((end for end in ends if end > absence[0]), default=None), []).append(
                absence
            )
    return tuple(_spell(found, end, facts, book) for end, found in by_end.items())


def _spell(
    found: list[tuple[datetime, str]], ended_at: datetime | None, facts: StudentFacts, book: PolicyHistory
) -> AbsencePeriod:
    first = legal_day(found[0][0])
    law = book.on(first)
    alert_on = _in_session_after(first, first + ONE_DAY * law.absence_alert_days, facts.terms)
    limit_day = _in_session_after(first, add_months(first, law.absence_months), facts.terms)
    records = tuple(key for at, key in found if limit_day is None or legal_day(at) <= limit_day)
    return AbsencePeriod(first, ended_at, records, alert_on, limit_day)


def _records(
    facts: StudentFacts, book: PolicyHistory, strikes: Exclusions, known_at: datetime
) -> list[tuple[datetime, str, bool]]:
    """Every proof or record as (instant, key, present): checks of any kind, and what a counselor wrote down."""
    found: list[tuple[datetime, str, bool]] = []
    for check in facts.checks:
        if check.closes_at <= known_at:
            place, _ = check_status(check, facts, book.on(event_day(check)), strikes, known_at)
            if place is not CheckStatus.OUT:
                found.append((check.closes_at, check_key(check.check_id), place is CheckStatus.PASSED))
    for record in facts.attendance:
        key = attendance_key(record.record_id)
        if (record.recorded_at or record.at) <= known_at and key not in strikes.out:
            found.append((record.at, key, record.present))
    return found


def add_months(day: date, months: int) -> date:
    """The same day so many calendar months later, or the last day of a month that has no such day."""
    year, month = divmod(day.year * MONTHS + day.month - 1 + months, MONTHS)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


@lru_cache(maxsize=4096)
def _in_session_after(first: date, last: date, terms: tuple[SchoolTerm, ...]) -> date | None:
    """`last`, put off by each day after `first` that lies in a vacation or between terms.

    A term that is not filed is never guessed: past the last one the count stands still, and the answer is None.
    """
    horizon = max((term.ends_on for term in terms), default=first)
    owed = (last - first).days
    day = first
    while owed and day < horizon:
        day += ONE_DAY
        owed -= any(term.in_session(day) for term in terms)
    return None if owed else day

"""Absence without leave: periods of recorded absence, their alert and their limit (HN334-3.5c, reading 5).

A missing record is never absence: a period begins with a recorded absence, and ends with any proof of presence or
with approved leave. Leave that was filed after the absence began covers the time from its filing only, until the
superior accepts it for the time before (reading 19).
"""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache

from backend.core.clock import LEGAL_ZONE, legal_day
from backend.leave.rules import ONE_DAY, LeaveInterval, SchoolTerm
from backend.standing.engine.facts import StudentFacts, attendance_key, check_key
from backend.standing.engine.misses import (
    CheckStatus,
    Exclusions,
    check_status,
    event_day,
)
from backend.standing.policy import PolicyHistory

MONTHS_A_YEAR = 12
REHEARSAL = "rehearsal"
"""The kind of roll call whose misses prove nothing (reading 20)."""


@dataclass(frozen=True, slots=True)
class AbsencePeriod:
    """A run of recorded absences; `ended_at` is None while it continues.

    `records` are the keys of the absences up to the limit, in order; `absences` are all of them with their days. `alert_on` is the day of the alert. `limit_day` is
    the last day within the law's number of months; the next day raises the prompt. Both are None if they lie beyond
    the terms on file.
    """

    starts_on: date
    ended_at: datetime | None
    records: tuple[str, ...]
    absences: tuple[tuple[str, date], ...]
    alert_on: date | None
    limit_day: date | None

    @property
    def prompt_at(self) -> datetime | None:
        if self.limit_day is None:
            return None
        return datetime.combine(self.limit_day + ONE_DAY, time.min, tzinfo=LEGAL_ZONE)

    def over_limit(self, as_of: datetime) -> bool:
        """Whether the period exceeded the limit by the instant. A later return does not undo that."""
        at = self.prompt_at
        return at is not None and at <= as_of and (self.ended_at is None or at < self.ended_at)


@dataclass(frozen=True, slots=True)
class _Presence:
    """A recorded presence or absence."""

    at: datetime
    key: str
    present: bool
    known_from: datetime
    """Leave filed later than this is late for the absence: the notice of a check, or the instant of a record."""


def find_absence_periods(
    facts: StudentFacts, policies: PolicyHistory, exclusions: Exclusions, as_of: datetime
) -> tuple[AbsencePeriod, ...]:
    """Every period known at the instant, in order. Only the last one can still be running."""
    records = _recorded_presence(facts, policies, exclusions, as_of)
    absences = [record for record in records if not record.present]
    ends = [record.at for record in records if record.present]
    accepted = {answer.leave_id for answer in facts.leave_answers if answer.accepted and answer.at <= as_of}
    for leave in facts.leaves:
        span = leave.span(as_of)
        if span is None or span[0] > as_of:
            continue
        covered = [absence for absence in absences if span[0] <= absence.at < span[1]]
        excused = [
            absence
            for absence in covered
            if leave.leave_id in accepted or leave.filed_at <= absence.known_from
        ]
        absences = [absence for absence in absences if absence not in excused]
        begins = span[0] if leave.leave_id in accepted else max(span[0], leave.filed_at)
        if begins < span[1]:
            ends.append(begins)
    by_end: dict[datetime | None, list[_Presence]] = {}
    for absence in sorted(absences, key=lambda record: (record.at, record.key)):
        if absence.at not in ends:
            end = min((end for end in ends if end > absence.at), default=None)
            by_end.setdefault(end, []).append(absence)
    return tuple(_period(absences, end, facts, policies) for end, absences in by_end.items())


def list_late_leave(
    facts: StudentFacts, evidence: Sequence[str], as_of: datetime
) -> tuple[LeaveInterval, ...]:
    """Approved leave over an absence of the evidence that began before the leave was filed (reading 19)."""
    absences = [
        (record.at, record.at)
        for record in facts.attendance
        if not record.present and attendance_key(record.record_id) in evidence
    ]
    absences += [
        (check.closes_at, check.notified_at)
        for check in facts.checks
        if check_key(check.check_id) in evidence
    ]
    spans = [(leave, leave.span(as_of)) for leave in facts.leaves]
    return tuple(
        leave
        for leave, span in spans
        if span is not None
        and any(span[0] <= at < span[1] and known_from < leave.filed_at for at, known_from in absences)
    )


def _recorded_presence(
    facts: StudentFacts, policies: PolicyHistory, exclusions: Exclusions, as_of: datetime
) -> list[_Presence]:
    """Results of checks of any kind, and the attendance records of counselors.

    A rehearsal proves presence when passed and proves nothing when missed (reading 20).
    """
    records: list[_Presence] = []
    for check in facts.checks:
        if check.closes_at <= as_of:
            status, _ = check_status(check, facts, policies.on(event_day(check)), exclusions, as_of)
            proves_nothing = status is CheckStatus.MISSED and check.kind == REHEARSAL
            if status is not CheckStatus.EXCLUDED and not proves_nothing:
                key = check_key(check.check_id)
                passed = status is CheckStatus.PASSED
                records.append(_Presence(check.closes_at, key, passed, check.notified_at))
    for record in facts.attendance:
        key = attendance_key(record.record_id)
        if (record.recorded_at or record.at) <= as_of and key not in exclusions.reasons:
            records.append(_Presence(record.at, key, record.present, record.at))
    return records


def _period(
    absences: list[_Presence], ended_at: datetime | None, facts: StudentFacts, policies: PolicyHistory
) -> AbsencePeriod:
    first = legal_day(absences[0].at)
    law = policies.on(first)
    alert_on = _postpone_for_vacations(first, first + ONE_DAY * law.absence_alert_days, facts.terms)
    limit_day = _postpone_for_vacations(first, add_months(first, law.absence_months), facts.terms)
    records = tuple(
        absence.key for absence in absences if limit_day is None or legal_day(absence.at) <= limit_day
    )
    days = tuple((absence.key, legal_day(absence.at)) for absence in absences)
    return AbsencePeriod(first, ended_at, records, days, alert_on, limit_day)


def add_months(day: date, months: int) -> date:
    """The same day of the month that many months later, or the last day of a shorter month."""
    year, month = divmod(day.year * MONTHS_A_YEAR + day.month - 1 + months, MONTHS_A_YEAR)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


@lru_cache(maxsize=4096)
def _postpone_for_vacations(first: date, last: date, terms: tuple[SchoolTerm, ...]) -> date | None:
    """`last`, postponed by each day after `first` that lies in a vacation or between terms.

    Terms that are not on file are never guessed: if the days run beyond the last term, the answer is None.
    """
    horizon = max((term.ends_on for term in terms), default=first)
    remaining = (last - first).days
    day = first
    while remaining and day < horizon:
        day += ONE_DAY
        remaining -= any(term.in_session(day) for term in terms)
    return None if remaining else day

"""What the facts call for at an instant, and whether an open prompt still rests on what it was raised for."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from backend.leave.rules import LeaveInterval, SchoolTerm, countable, days_used
from backend.org.calendar import CalendarYearMissing, WorkingCalendar
from backend.standing.engine.absence import AbsencePeriod, absence_periods
from backend.standing.engine.facts import StudentFacts
from backend.standing.engine.misses import (
    CheckStatus,
    Exclusions,
    SequenceItem,
    check_key,
    sequence,
    threshold_hits,
)
from backend.standing.engine.prompts import Prompt, PromptKind, PromptTrigger
from backend.standing.policy import PolicyHistory


def leave_key(leave_id: str) -> str:
    return f"leave:{leave_id}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything known at one instant, counted."""

    facts: StudentFacts
    book: PolicyHistory
    calendar: WorkingCalendar
    strikes: Exclusions
    at: datetime
    links: tuple[SequenceItem, ...]
    absence_periods: tuple[AbsencePeriod, ...]

    @property
    def spell(self) -> AbsencePeriod | None:
        """The spell of absence that runs, if one does."""
        return (
            self.absence_periods[-1]
            if self.absence_periods and self.absence_periods[-1].ended_at is None
            else None
        )

    @property
    def leaves(self) -> tuple[LeaveInterval, ...]:
        """Leave that counts: without what a dismissal or a restoration took out."""
        kept = (leave for leave in self.facts.leaves if leave_key(leave.leave_id) not in self.strikes.out)
        return tuple(sorted(kept, key=lambda leave: (leave.starts_at, leave.leave_id)))


def take_snapshot(
    facts: StudentFacts, book: PolicyHistory, calendar: WorkingCalendar, strikes: Exclusions, at: datetime
) -> Snapshot:
    """Count what is known at the instant."""
    links = sequence(facts, book, strikes, at)
    return Snapshot(facts, book, calendar, strikes, at, links, absence_periods(facts, book, strikes, at))


def find_triggers(now: Snapshot) -> Iterable[PromptTrigger]:
    """Every finding that calls for a prompt, the earliest of each kind and term first."""
    yield from _misses(now)
    yield from _leave(now)
    yield from _absence(now)


def is_still_justified(prompt: Prompt, now: Snapshot) -> bool:
    """Whether a prompt still has its basis by what is known now; the law is that of its event day."""
    if not now.strikes.out.keys().isdisjoint(prompt.evidence):
        return False
    match prompt.kind:
        case PromptKind.MISSES:
            return misses_stand(prompt.evidence, now) and any(
                crossing.evidence[-1] == prompt.evidence[-1]
                for crossing in threshold_hits(now.links, now.book)
            )
        case PromptKind.LEAVE_OVER_CAP:
            return _still_over_cap(prompt, now)
        case PromptKind.ABSENCE:
            return any(
                then.records[0] == prompt.evidence[0] and then.over_limit(prompt.raised_at)
                for then in now.absence_periods
            )


def _still_over_cap(prompt: Prompt, now: Snapshot) -> bool:
    term = next(term for term in now.facts.terms if term.code == prompt.term)
    try:
        reached = day_over_cap(now, term)
    except CalendarYearMissing:
        return False  # the days known do not reach the limit any more, and the others cannot be counted
    return reached is not None and reached <= prompt.event_day


def misses_stand(evidence: tuple[str, ...], now: Snapshot) -> bool:
    """Whether every check among the evidence still counts as a miss."""
    missed = {check_key(link.check.check_id) for link in now.links if link.place is CheckStatus.MISSED}
    return missed.issuperset(evidence)


def _misses(now: Snapshot) -> Iterable[PromptTrigger]:
    for crossing in threshold_hits(now.links, now.book):
        law = now.book.on(crossing.event_day)
        yield PromptTrigger(PromptKind.MISSES, crossing.term, crossing.grounds, crossing.evidence, law)


def _leave(now: Snapshot) -> Iterable[PromptTrigger]:
    for term in now.facts.terms if now.leaves else ():
        try:
            day = day_over_cap(now, term)
        except CalendarYearMissing:
            continue
        if day is not None:
            evidence = tuple(
                leave_key(leave.leave_id)
                for leave in now.leaves
                if any(touched <= day for touched in days_used([leave], now.at, term.in_session))
            )
            yield PromptTrigger(
                PromptKind.LEAVE_OVER_CAP, term.code, ("over_cap",), evidence, now.book.on(day)
            )


def day_over_cap(now: Snapshot, term: SchoolTerm) -> date | None:
    """The first day of leave that reaches the law's limit, each day counted by the law of its own.

    Raises `CalendarYearMissing` in the teaching-day mode where the year is not loaded.
    """
    used = 0
    for day in days_used(now.leaves, now.at, term.in_session):
        law = now.book.on(day).leave
        used += countable(term, law.day_count, now.calendar)(day)
        if used >= law.prompt_from:
            return day
    return None


def _absence(now: Snapshot) -> Iterable[PromptTrigger]:
    """A case of absence is opened by the law of its first recorded day, and rests on the records up to its limit."""
    for past in now.absence_periods:
        if past.over_limit(now.at):
            term = next((term.code for term in now.facts.terms if term.covers(past.starts_on)), "")
            law = now.book.on(past.starts_on)
            yield PromptTrigger(PromptKind.ABSENCE, term, ("over_limit",), past.records, law)

"""What the facts call for at an instant, and whether an open prompt still rests on what it was raised for."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from backend.leave.rules import LeaveInterval, SchoolTerm, countable, days_used
from backend.org.calendar import CalendarYearMissing, WorkingCalendar
from backend.standing.absence import Spell, spells
from backend.standing.facts import StudentFacts
from backend.standing.law import Lawbook
from backend.standing.prompts import Finding, Prompt, PromptKind
from backend.standing.sequence import Link, Place, Strikes, check_key, crossings, sequence


def leave_key(leave_id: str) -> str:
    return f"leave:{leave_id}"


@dataclass(frozen=True, slots=True)
class View:
    """Everything known at one instant, counted."""

    facts: StudentFacts
    book: Lawbook
    calendar: WorkingCalendar
    strikes: Strikes
    at: datetime
    links: tuple[Link, ...]
    spells: tuple[Spell, ...]

    @property
    def spell(self) -> Spell | None:
        """The spell of absence that runs, if one does."""
        return self.spells[-1] if self.spells and self.spells[-1].ended_at is None else None

    @property
    def leaves(self) -> tuple[LeaveInterval, ...]:
        """Leave that counts: without what a dismissal or a restoration took out."""
        kept = (leave for leave in self.facts.leaves if leave_key(leave.leave_id) not in self.strikes.out)
        return tuple(sorted(kept, key=lambda leave: (leave.starts_at, leave.leave_id)))


def view(
    facts: StudentFacts, book: Lawbook, calendar: WorkingCalendar, strikes: Strikes, at: datetime
) -> View:
    """Count what is known at the instant."""
    links = sequence(facts, book, strikes, at)
    return View(facts, book, calendar, strikes, at, links, spells(facts, book, strikes, at))


def findings(now: View) -> Iterable[Finding]:
    """Every finding that calls for a prompt, the earliest of each kind and term first."""
    yield from _misses(now)
    yield from _leave(now)
    yield from _absence(now)


def holds(prompt: Prompt, now: View) -> bool:
    """Whether a prompt still has its basis by what is known now; the law is that of its event day."""
    if not now.strikes.out.keys().isdisjoint(prompt.evidence):
        return False
    match prompt.kind:
        case PromptKind.MISSES:
            return misses_stand(prompt.evidence, now) and any(
                crossing.evidence[-1] == prompt.evidence[-1] for crossing in crossings(now.links, now.book)
            )
        case PromptKind.LEAVE_OVER_CAP:
            return _still_over_cap(prompt, now)
        case PromptKind.ABSENCE:
            return any(
                then.records[0] == prompt.evidence[0] and then.over_limit(prompt.raised_at)
                for then in now.spells
            )


def _still_over_cap(prompt: Prompt, now: View) -> bool:
    term = next(term for term in now.facts.terms if term.code == prompt.term)
    try:
        reached = day_over_cap(now, term)
    except CalendarYearMissing:
        return False  # the days known do not reach the limit any more, and the others cannot be counted
    return reached is not None and reached <= prompt.event_day


def misses_stand(evidence: tuple[str, ...], now: View) -> bool:
    """Whether every check among the evidence still counts as a miss."""
    missed = {check_key(link.check.check_id) for link in now.links if link.place is Place.MISSED}
    return missed.issuperset(evidence)


def _misses(now: View) -> Iterable[Finding]:
    for crossing in crossings(now.links, now.book):
        law = now.book.on(crossing.event_day)
        yield Finding(PromptKind.MISSES, crossing.term, crossing.grounds, crossing.evidence, law)


def _leave(now: View) -> Iterable[Finding]:
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
            yield Finding(PromptKind.LEAVE_OVER_CAP, term.code, ("over_cap",), evidence, now.book.on(day))


def day_over_cap(now: View, term: SchoolTerm) -> date | None:
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


def _absence(now: View) -> Iterable[Finding]:
    """A case of absence is opened by the law of its first recorded day, and rests on the records up to its limit."""
    for past in now.spells:
        if past.over_limit(now.at):
            term = next((term.code for term in now.facts.terms if term.covers(past.starts_on)), "")
            law = now.book.on(past.starts_on)
            yield Finding(PromptKind.ABSENCE, term, ("over_limit",), past.records, law)

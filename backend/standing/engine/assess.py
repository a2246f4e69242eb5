"""The complete legal picture of one student at an instant, from recorded facts, policy and calendar. Pure.

`assess` is the one function that decides: the service stores what it says, the nightly replay compares, the
explanation quotes its traces. Same facts, same law, same instant: same bytes (invariant 6).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from backend.core.clock import legal_day
from backend.leave.rules import LeaveTally, SchoolTerm, tally
from backend.org.calendar import CalendarYearMissing, WorkingCalendar
from backend.standing.engine.absence import AbsencePeriod
from backend.standing.engine.facts import Status, StudentFacts
from backend.standing.engine.ledger import Entry, Lock
from backend.standing.engine.misses import CheckStatus, MissCounts, check_key, count_misses
from backend.standing.engine.prompts import Prompt, PromptKind, derived_id, naming
from backend.standing.engine.record import Refused
from backend.standing.engine.timeline import AidRelease, Timeline
from backend.standing.engine.triggers import Snapshot, misses_stand
from backend.standing.policy import PolicyHistory, StandingPolicy


@dataclass(frozen=True, slots=True)
class CheckPosition:
    """One counted check in its term's sequence; `why` explains a check that is out."""

    check_id: str
    event_day: date
    place: CheckStatus
    why: str


@dataclass(frozen=True, slots=True)
class TermSummary:
    """Counts of one term. `leave` is None while `missing_year` keeps teaching days from being counted."""

    term: str
    sequence: tuple[CheckPosition, ...]
    misses: MissCounts
    leave: LeaveTally | None
    missing_year: int | None


@dataclass(frozen=True, slots=True)
class StandingWarning:
    """What will follow if nothing changes; its id stays the same until the facts behind it change.

    Codes: `one_more_miss`, `leave_days_used`, `leave_plan_exceeds`, `absence_continues`, `change_without_basis`.
    """

    warning_id: str
    code: str
    term: str
    facts: tuple[str, ...]
    proposed: str | None
    """The outcome that a prompt would propose."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """Everything the law says of one student at `as_of`."""

    student_id: str
    as_of: datetime
    policy_version: str
    status: Status
    terms: tuple[TermSummary, ...]
    absence: AbsencePeriod | None
    prompts: tuple[Prompt, ...]
    ledger: tuple[Entry, ...]
    lock: Lock
    aid: tuple[AidRelease, ...]
    warnings: tuple[StandingWarning, ...]
    refused: tuple[Refused, ...]

    @property
    def open_prompts(self) -> tuple[Prompt, ...]:
        return tuple(prompt for prompt in self.prompts if prompt.is_open)


def assess(
    facts: StudentFacts, book: PolicyHistory, calendar: WorkingCalendar, as_of: datetime
) -> Assessment:
    """Fold everything known at the instant; raises `AbsentLaw` where the place has no law on a day that matters."""
    course = Timeline(facts, book, calendar, as_of)
    record = course.record
    sanctions = record.in_force()
    terms = tuple(
        _term(course.now, term) for term in sorted(facts.terms, key=lambda term: (term.starts_on, term.code))
    )
    return Assessment(
        student_id=facts.student_id,
        as_of=as_of,
        policy_version=book.policy.policy_version,
        status=record.status,
        terms=terms,
        absence=course.now.spell,
        prompts=tuple(
            sorted(course.prompts.values(), key=lambda prompt: (prompt.raised_at, prompt.prompt_id))
        ),
        ledger=tuple(record.ledger),
        lock=Lock(sanctions[-1].entry_id if sanctions else None, record.open_approvals(as_of)),
        aid=tuple(course.releases[entry_id] for entry_id in sorted(course.releases)),
        warnings=tuple(_warnings(course, terms)),
        refused=tuple(record.refused),
    )


def _law_of_term(now: Snapshot, term: SchoolTerm) -> StandingPolicy:
    """The law by which a term's running counts are shown: today's, or of its first or last day outside it."""
    return now.book.on(min(max(legal_day(now.at), term.starts_on), term.ends_on))


def _term(now: Snapshot, term: SchoolTerm) -> TermSummary:
    law = _law_of_term(now, term)
    leave: LeaveTally | None = None
    missing: int | None = None
    try:
        leave = tally(now.leaves, term, now.at, law.leave, now.calendar)
    except CalendarYearMissing as gap:
        missing = int(gap.params["year"])
    places = tuple(
        CheckPosition(link.check.check_id, link.event_day, link.place, link.why)
        for link in now.links
        if link.term == term.code
    )
    return TermSummary(term.code, places, count_misses(now.links, term.code, law), leave, missing)


def _warnings(course: Timeline, terms: tuple[TermSummary, ...]) -> list[StandingWarning]:
    """Warnings of the running term, of the running absence, and of changes that have lost their basis."""
    now = course.now
    found = _unfounded(course)
    if not course.record.owes_presence(now.at):
        return found
    prompted = {(prompt.kind, prompt.term) for prompt in course.open_prompts()}
    current = {term.code for term in now.facts.terms if term.covers(legal_day(now.at))}
    for term in terms:
        if term.term in current:
            found += _term_warnings(now, term, prompted)
    running = now.spell
    if running is not None and running.alert_on is not None and running.alert_on <= legal_day(now.at):
        term_code = next((term.code for term in now.facts.terms if term.covers(running.starts_on)), "")
        if (PromptKind.ABSENCE, term_code) not in prompted:
            facts = running.records[:1]
            found.append(_warning(now, "absence_continues", term_code, facts, PromptKind.ABSENCE))
    return found


def _term_warnings(
    now: Snapshot, term: TermSummary, prompted: set[tuple[PromptKind, str]]
) -> list[StandingWarning]:
    found = []
    if term.misses.one_more_miss_prompts and (PromptKind.MISSES, term.term) not in prompted:
        missed = tuple(check_key(item.check_id) for item in term.sequence if item.place is CheckStatus.MISSED)
        found.append(_warning(now, "one_more_miss", term.term, missed, PromptKind.MISSES))
    if term.leave is not None and (PromptKind.LEAVE_OVER_CAP, term.term) not in prompted:
        if term.leave.warning is not None:
            mark = (f"day:{term.leave.warning}",)
            found.append(_warning(now, "leave_days_used", term.term, mark, PromptKind.LEAVE_OVER_CAP))
        if term.leave.plan_exceeds:
            planned = (f"planned:{term.leave.planned}",)
            found.append(_warning(now, "leave_plan_exceeds", term.term, planned, PromptKind.LEAVE_OVER_CAP))
    return found


def _warning(
    now: Snapshot, code: str, term: str, facts: tuple[str, ...], kind: PromptKind
) -> StandingWarning:
    law = now.book.on(legal_day(now.at))
    warning_id = naming("warning", (code, term, facts))(now.facts.student_id)
    return StandingWarning(warning_id, code, term, facts, law.proposed[kind])


def naming_warning(warning: StandingWarning) -> Callable[[str], str]:
    """How the same warning of any student is named; not of one that speaks of a change."""
    return naming("warning", (warning.code, warning.term, warning.facts))


def _unfounded(course: Timeline) -> list[StandingWarning]:
    """A closed case is never re-judged (reading 14); that its misses were excused since is said to everyone."""
    found = []
    for entry in course.record.in_force():
        prompt = course.prompts[entry.prompt_id or ""]
        if prompt.kind is PromptKind.MISSES and not misses_stand(prompt.evidence, course.now):
            facts = (f"change:{entry.entry_id}", *prompt.evidence)
            warning_id = derived_id("warning", (course.facts.student_id, "change_without_basis", facts))
            found.append(StandingWarning(warning_id, "change_without_basis", prompt.term, facts, None))
    return found

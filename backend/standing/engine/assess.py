"""The assessment of one student: status, counts, prompts, changes and warnings at an instant. Pure.

`assess` is the only function that decides. The service stores its result, the nightly replay compares it, and
explanations quote its traces. The same facts, law and instant give the same bytes (invariant 6).

The steps, and the file with the law of each:

1. `facts.py`: the recorded facts, loaded by `standing.store.load`.
2. `timeline.py`: visits every instant at which something can change, in order. At each instant it
3. writes edits, reversals and upheld appeals into the ledger: `ledger.py` (HN334-4.1c, 4.2),
4. counts misses and absences: `misses.py` (HN334-4.1b), `absence.py` (HN334-3.5c),
5. raises and withdraws prompts: `triggers.py` (also leave days, HN334-3.5b), `prompts.py`,
6. applies deliveries, decisions and dismissals: `decision_rules.py` (HN334-4.1b),
7. lets deadlines expire (`prompts.py`, reading 7) and releases aid (HN334-4.1d, reading 12).
8. This file sums up the counts of each term and adds warnings.

Every result carries its trace: rule, clause, figures and facts (`trace.py`, reading 13).
"""

from dataclasses import dataclass, replace
from datetime import date, datetime

from backend.core.clock import legal_day
from backend.leave.rules import LeaveBalance, SchoolTerm, count_leave_days
from backend.org.calendar import CalendarYearMissing, WorkingCalendar
from backend.standing.engine.absence import AbsencePeriod
from backend.standing.engine.facts import Status, StudentFacts, check_key
from backend.standing.engine.ids import derived_id, warning_id
from backend.standing.engine.ledger import LedgerEntry, Lock, RefusedAct
from backend.standing.engine.misses import CheckStatus, MissCounts, count_misses
from backend.standing.engine.prompts import Prompt, PromptKind
from backend.standing.engine.timeline import CHANGE_WITHOUT_BASIS, AidRelease, Timeline
from backend.standing.engine.triggers import Snapshot, has_basis
from backend.standing.policy import PolicyHistory


@dataclass(frozen=True, slots=True)
class CheckPosition:
    """One check in the sequence of its term; `place` is its status, `why` explains an excluded check."""

    check_id: str
    event_day: date
    place: CheckStatus
    why: str


@dataclass(frozen=True, slots=True)
class TermSummary:
    """The counts of one term. `leave` is None if teaching days cannot be counted because of `missing_year`."""

    term: str
    sequence: tuple[CheckPosition, ...]
    misses: MissCounts
    leave: LeaveBalance | None
    missing_year: int | None


@dataclass(frozen=True, slots=True)
class StandingWarning:
    """What will happen if nothing changes. The id stays the same until the underlying facts change.

    Codes: `one_more_miss`, `leave_days_used`, `leave_plan_exceeds`, `absence_continues`, `change_without_basis`.
    """

    warning_id: str
    code: str
    term: str
    facts: tuple[str, ...]
    proposed: str | None
    """The outcome that a prompt would propose."""

    def for_student(self, student_id: str) -> "StandingWarning":
        """The warning that the same facts give another student."""
        return replace(self, warning_id=warning_id(student_id, self.code, self.term, self.facts))


@dataclass(frozen=True, slots=True)
class Assessment:
    """Everything that follows from one student's facts at `as_of`."""

    student_id: str
    as_of: datetime
    policy_version: str
    status: Status
    terms: tuple[TermSummary, ...]
    absence: AbsencePeriod | None
    prompts: tuple[Prompt, ...]
    ledger: tuple[LedgerEntry, ...]
    lock: Lock
    aid: tuple[AidRelease, ...]
    warnings: tuple[StandingWarning, ...]
    refused: tuple[RefusedAct, ...]

    @property
    def open_prompts(self) -> tuple[Prompt, ...]:
        return tuple(prompt for prompt in self.prompts if prompt.is_open)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to store: no count, absence, prompt, change, refused act or warning."""
        counted = any(
            term.misses.cumulative or (term.leave is not None and (term.leave.used or term.leave.planned))
            for term in self.terms
        )
        derived = self.prompts or self.ledger or self.warnings or self.refused or self.absence
        return not counted and not derived


def assess(
    facts: StudentFacts, policies: PolicyHistory, calendar: WorkingCalendar, as_of: datetime
) -> Assessment:
    """Assess the facts known at the instant. Raises `AbsentLaw` if the place has no law on a day that matters."""
    timeline = Timeline(facts, policies, calendar, as_of)
    ledger = timeline.ledger
    sanctions = ledger.sanctions_in_force()
    terms = tuple(
        _summarise_term(timeline.snapshot, term)
        for term in sorted(facts.terms, key=lambda term: (term.starts_on, term.code))
    )
    return Assessment(
        student_id=facts.student_id,
        as_of=as_of,
        policy_version=policies.policy.policy_version,
        status=ledger.status,
        terms=terms,
        absence=timeline.snapshot.running_absence,
        prompts=tuple(sorted(timeline.prompts.values(), key=lambda prompt: prompt.position)),
        ledger=tuple(ledger.entries),
        lock=Lock(sanctions[-1].entry_id if sanctions else None, ledger.open_approvals(as_of)),
        aid=tuple(timeline.releases[entry_id] for entry_id in sorted(timeline.releases)),
        warnings=tuple(_find_warnings(timeline, terms)),
        refused=tuple(ledger.refused),
    )


def _summarise_term(snapshot: Snapshot, term: SchoolTerm) -> TermSummary:
    """Count by today's law, or outside the term by that of its first or last day."""
    day = min(max(legal_day(snapshot.at), term.starts_on), term.ends_on)
    law = snapshot.policies.on(day)
    leave: LeaveBalance | None = None
    missing_year: int | None = None
    try:
        leave = count_leave_days(snapshot.leaves, term, snapshot.at, law.leave, snapshot.calendar)
    except CalendarYearMissing as missing:
        missing_year = int(missing.params["year"])
    positions = tuple(
        CheckPosition(item.check.check_id, item.event_day, item.status, item.why)
        for item in snapshot.sequence
        if item.term == term.code
    )
    counts = count_misses(snapshot.sequence, term.code, snapshot.policies, law)
    return TermSummary(term.code, positions, counts, leave, missing_year)


# --- warnings ---


def _find_warnings(timeline: Timeline, terms: tuple[TermSummary, ...]) -> list[StandingWarning]:
    """Warnings about the current term, a running absence, and changes that are no longer justified."""
    snapshot = timeline.snapshot
    warnings = _unjustified_change_warnings(timeline)
    if not timeline.ledger.owes_presence(snapshot.at):
        return warnings
    today = legal_day(snapshot.at)
    prompted = {(prompt.kind, prompt.term) for prompt in timeline.open_prompts()}
    current = {term.code for term in snapshot.facts.terms if term.covers(today)}
    for term in terms:
        if term.term in current:
            warnings += _term_warnings(snapshot, term, prompted)
    absence = snapshot.running_absence
    if absence is not None and absence.alert_on is not None and absence.alert_on <= today:
        covering = (term.code for term in snapshot.facts.terms if term.covers(absence.starts_on))
        term_code = next(covering, "")
        if (PromptKind.ABSENCE, term_code) not in prompted:
            first = absence.records[:1]
            warnings.append(_warning(snapshot, "absence_continues", term_code, first, PromptKind.ABSENCE))
    return warnings


def _term_warnings(
    snapshot: Snapshot, term: TermSummary, prompted: set[tuple[PromptKind, str]]
) -> list[StandingWarning]:
    warnings = []
    if term.misses.one_more_miss_prompts and (PromptKind.MISSES, term.term) not in prompted:
        missed = tuple(check_key(item.check_id) for item in term.sequence if item.place is CheckStatus.MISSED)
        warnings.append(_warning(snapshot, "one_more_miss", term.term, missed, PromptKind.MISSES))
    if term.leave is not None and (PromptKind.LEAVE_OVER_CAP, term.term) not in prompted:
        kind = PromptKind.LEAVE_OVER_CAP
        if term.leave.warning is not None:
            used = (f"day:{term.leave.warning}",)
            warnings.append(_warning(snapshot, "leave_days_used", term.term, used, kind))
        if term.leave.plan_exceeds:
            planned = (f"planned:{term.leave.planned}",)
            warnings.append(_warning(snapshot, "leave_plan_exceeds", term.term, planned, kind))
    return warnings


def _warning(
    snapshot: Snapshot, code: str, term: str, facts: tuple[str, ...], kind: PromptKind
) -> StandingWarning:
    proposed = snapshot.policies.on(legal_day(snapshot.at)).proposed[kind]
    return StandingWarning(
        warning_id(snapshot.facts.student_id, code, term, facts), code, term, facts, proposed
    )


def _unjustified_change_warnings(timeline: Timeline) -> list[StandingWarning]:
    """Changes whose facts no longer reach the limit, such as misses excused later, or a pass found between two misses.

    A closed case is never judged again (reading 14), so only warn. Readings 12 and 16 say how to restore.
    """
    warnings = []
    code, student_id = CHANGE_WITHOUT_BASIS, timeline.facts.student_id
    for entry in timeline.ledger.sanctions_in_force():
        prompt = timeline.prompts[entry.prompt_id or ""]
        if not has_basis(prompt, timeline.snapshot):
            facts = (f"change:{entry.entry_id}", *prompt.evidence)
            changed_id = derived_id("warning", (student_id, code, facts))
            warnings.append(StandingWarning(changed_id, code, prompt.term, facts, None))
    return warnings

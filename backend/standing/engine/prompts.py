"""Prompts: the superior's request to the registrar to decide, its state and its deadline.

HN334-4.1b (misses, five working days), 3.5b (leave over the limit), 3.5c (absence), reading 7 (deadline).
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from backend.core.clock import legal_day
from backend.leave.rules import TICK
from backend.org.calendar import CalendarYearMissing, WorkingCalendar
from backend.standing.engine.facts import CalendarYearLoaded
from backend.standing.engine.ids import prompt_id
from backend.standing.engine.trace import ABSENCE, LEAVE_OVER_CAP, MISSES, Rule, Trace, build_trace
from backend.standing.policy import StandingPolicy


class PromptKind(StrEnum):
    MISSES = "misses"
    LEAVE_OVER_CAP = "leave_over_cap"
    ABSENCE = "absence_without_leave"


RULE_OF: dict[PromptKind, Rule] = {
    PromptKind.MISSES: MISSES,
    PromptKind.LEAVE_OVER_CAP: LEAVE_OVER_CAP,
    PromptKind.ABSENCE: ABSENCE,
}


class PromptState(StrEnum):
    """The state of a prompt. The first five are open."""

    UNDELIVERED = "undelivered"
    RUNNING = "running"
    DISMISSAL_PENDING = "dismissal_pending"
    BLOCKED = "blocked"
    """The deadline has passed, and the prompt's blockers stop the automatic execution."""
    ESCALATED = "escalated"
    DECIDED = "decided"
    EXECUTED = "executed"
    DISMISSED = "dismissed"
    WITHDRAWN = "withdrawn"


OPEN_STATES = frozenset(
    {
        PromptState.UNDELIVERED,
        PromptState.RUNNING,
        PromptState.DISMISSAL_PENDING,
        PromptState.BLOCKED,
        PromptState.ESCALATED,
    }
)


# --- the registrar's five working days ---


@dataclass(frozen=True, slots=True)
class Reminder:
    """The registrar is reminded on the legal day `on`, the `working_day`-th after delivery."""

    working_day: int
    on: date


@dataclass(frozen=True, slots=True)
class Deadline:
    """When the decision is due. `at` is exclusive: 24:00 of the last working day.

    If the calendar lacks a year that the period touches, `missing_year` names it, `at` is None, and nothing expires
    until an administrator has loaded that year.
    """

    at: datetime | None
    missing_year: int | None
    reminders: tuple[Reminder, ...]

    def has_passed(self, at: datetime) -> bool:
        return self.at is not None and self.at <= at


def compute_deadline(
    delivered_at: datetime,
    dismissal_refused_at: datetime | None,
    law: StandingPolicy,
    calendar: WorkingCalendar,
    loads: tuple[CalendarYearLoaded, ...],
    as_of: datetime,
) -> Deadline:
    """The deadline as it was known at the instant. Without the calendar there is none (reading 7).

    After a refused dismissal the registrar has at least `decision.after_refused_dismissal` working days for another
    decision; a longer rest of the period stays as it is (reading 22).
    """
    delivered_on = legal_day(delivered_at)
    reminders: list[Reminder] = []
    try:
        reminders.extend(
            Reminder(number, calendar.add_working_days(delivered_on, number)) for number in law.reminder_days
        )
        due = calendar.deadline_instant(delivered_at, law.deadline_days)
        if dismissal_refused_at is not None:
            again = calendar.deadline_instant(dismissal_refused_at, law.days_after_refusal)
            due = max(due, again)
    except CalendarYearMissing as missing:
        return Deadline(None, int(missing.params["year"]), tuple(reminders))
    years = range(delivered_on.year, legal_day(due - TICK).year + 1)
    loaded_later = sorted(load.year for load in loads if load.at > as_of and load.year in years)
    if loaded_later:
        missing_year = loaded_later[0]
        known = tuple(item for item in reminders if item.on.year < missing_year)
        return Deadline(None, missing_year, known)
    return Deadline(due, None, tuple(reminders))


# --- the prompt ---


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt. `evidence` are the keys of the facts that justify it ("check:…", "leave:…", "attendance:…")."""

    prompt_id: str
    kind: PromptKind
    term: str
    grounds: tuple[str, ...]
    evidence: tuple[str, ...]
    event_day: date
    raised_at: datetime
    proposed: str
    trace: Trace
    state: PromptState = PromptState.UNDELIVERED
    delivered_at: datetime | None = None
    deadline: Deadline | None = None
    blockers: tuple[str, ...] = ()
    """What would stop an automatic execution now (reading 12), even before the deadline."""
    dismissal: str | None = None
    """The dismissing decision while the superior has not answered it."""
    dismissal_refused_at: datetime | None = None
    """When the superior last refused a dismissal; the registrar then has some days for another decision."""
    closed_at: datetime | None = None
    closed_by: str | None = None
    """The decision, `policy`, or the reason for the withdrawal."""

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def position(self) -> tuple[datetime, PromptKind, str, tuple[str, ...]]:
        """The sort key of a student's prompts: unique, and independent of the student."""
        return self.raised_at, self.kind, self.term, self.evidence

    def close(self, state: PromptState, at: datetime, by: str) -> "Prompt":
        return replace(self, state=state, closed_at=at, closed_by=by, blockers=(), dismissal=None)

    def for_student(self, student_id: str) -> "Prompt":
        """The prompt that the same facts raise for another student."""
        other = prompt_id(student_id, self.kind, self.term, self.evidence, self.raised_at)
        return replace(self, prompt_id=other)


@dataclass(frozen=True, slots=True)
class PromptTrigger:
    """A reason to raise a prompt. `law` is the policy of its event day."""

    kind: PromptKind
    term: str
    grounds: tuple[str, ...]
    evidence: tuple[str, ...]
    law: StandingPolicy


def raise_prompt(student_id: str, trigger: PromptTrigger, at: datetime) -> Prompt:
    return Prompt(
        prompt_id=prompt_id(student_id, trigger.kind, trigger.term, trigger.evidence, at),
        kind=trigger.kind,
        term=trigger.term,
        grounds=trigger.grounds,
        evidence=trigger.evidence,
        event_day=trigger.law.policy.day,
        raised_at=at,
        proposed=trigger.law.proposed[trigger.kind],
        trace=build_trace(RULE_OF[trigger.kind], trigger.law, at, trigger.evidence),
    )

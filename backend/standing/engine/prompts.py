"""Prompts: what the superior tells the registrar, and the state each is in (HN334-4.1b, 3.5b, 3.5c)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from uuid import NAMESPACE_URL, uuid5

from backend.standing.engine.deadlines import Deadline
from backend.standing.engine.trace import ABSENCE, LEAVE_OVER_CAP, MISSES, Rule, Trace, canonical, trace
from backend.standing.policy import StandingPolicy

IDENTITY = uuid5(NAMESPACE_URL, "https://dianming.example/standing")


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
    """Where a prompt stands. The first five are open."""

    UNDELIVERED = "undelivered"
    RUNNING = "running"
    DISMISSAL_PENDING = "dismissal_pending"
    BLOCKED = "blocked"
    """The deadline has ended, and execution waits for the blockers that are named."""
    ESCALATED = "escalated"
    DECIDED = "decided"
    EXECUTED = "executed"
    DISMISSED = "dismissed"
    WITHDRAWN = "withdrawn"


OPEN = frozenset(
    {
        PromptState.UNDELIVERED,
        PromptState.RUNNING,
        PromptState.DISMISSAL_PENDING,
        PromptState.BLOCKED,
        PromptState.ESCALATED,
    }
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt. `evidence` are the keys of the facts it rests on ("check:…", "leave:…", "attendance:…")."""

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
    """What would stop an automatic execution now (reading 12), whether or not the deadline has ended."""
    dismissal: str | None = None
    """The decision that dismisses, while the superior has not answered."""
    closed_at: datetime | None = None
    closed_by: str | None = None
    """The decision, `policy`, or why the prompt was withdrawn."""

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    def closed(self, state: PromptState, at: datetime, by: str) -> "Prompt":
        return replace(self, state=state, closed_at=at, closed_by=by, blockers=(), dismissal=None)


@dataclass(frozen=True, slots=True)
class PromptTrigger:
    """What the rules found and a prompt is raised for, by the law of its event day."""

    kind: PromptKind
    term: str
    grounds: tuple[str, ...]
    evidence: tuple[str, ...]
    law: StandingPolicy


def raise_prompt(student_id: str, finding: PromptTrigger, at: datetime) -> Prompt:
    """The prompt of a finding. Its id is derived from its content, so a second run makes no second prompt."""
    return Prompt(
        prompt_id=naming("prompt", (finding.kind, finding.term, finding.evidence, at))(student_id),
        kind=finding.kind,
        term=finding.term,
        grounds=finding.grounds,
        evidence=finding.evidence,
        event_day=finding.law.policy.day,
        raised_at=at,
        proposed=finding.law.proposed[finding.kind],
        trace=trace(RULE_OF[finding.kind], finding.law, at, finding.evidence),
    )


def naming_prompt(prompt: Prompt) -> Callable[[str], str]:
    """How the same prompt of any student is named."""
    return naming("prompt", (prompt.kind, prompt.term, prompt.evidence, prompt.raised_at))


def naming(noun: str, content: tuple[object, ...]) -> Callable[[str], str]:
    """`derived_id` of the content with a student's id before it, for any student."""
    rest = canonical(content)[1:]
    return lambda student_id: str(uuid5(IDENTITY, f'{noun}:["{student_id}",{rest}'))


def derived_id(noun: str, content: object) -> str:
    """A UUID that the content alone decides."""
    return str(uuid5(IDENTITY, f"{noun}:{canonical(content)}"))

"""Who may decide what on a prompt, and when (HN334-4.1b, readings 10 and 12)."""

from datetime import datetime
from enum import StrEnum

from backend.standing.engine.blockers import sanction_objections
from backend.standing.engine.facts import Acknowledgement, Decision, StudentFacts
from backend.standing.engine.misses import reason_objection
from backend.standing.engine.prompts import Prompt, PromptState
from backend.standing.policy import StandingPolicy

DISMISS = "dismiss"


class Role(StrEnum):
    REGISTRAR = "registrar"
    SUPERIOR = "superior"


DECIDER = {
    PromptState.UNDELIVERED: Role.REGISTRAR,
    PromptState.RUNNING: Role.REGISTRAR,
    PromptState.BLOCKED: Role.REGISTRAR,
    PromptState.ESCALATED: Role.SUPERIOR,
}
"""Whose turn it is; a prompt in any other state is decided, or waits for the answer to a dismissal."""


def decision_objections(
    decision: Decision, prompt: Prompt, facts: StudentFacts, law: StandingPolicy, as_of: datetime
) -> tuple[str, ...]:
    """Every reason why the decision has no effect; empty if it is good. `law` is that of the prompt's event day."""
    turn = DECIDER.get(prompt.state)
    if turn is None:
        return (f"prompt_{prompt.state}",)
    if decision.role != turn:
        return (f"for_{turn}_to_decide",)
    if decision.outcome == DISMISS:
        objection = reason_objection(law, decision.found_reason, decision.found_text)
        return (objection,) if objection else ()
    if decision.outcome not in law.outcomes:
        return ("unknown_outcome",)
    found = list(sanction_objections(prompt, facts, law, as_of))
    if decision.outcome != prompt.proposed and not decision.reasons.strip():
        found.append("reasons_required")
    return tuple(found)


def acknowledgement_objection(
    answer: Acknowledgement, decision: Decision | None, prompt: Prompt | None
) -> str | None:
    """Why the answer to a dismissal has no effect, or None. Who asks never approves."""
    if decision is None or prompt is None or prompt.dismissal != decision.decision_id:
        return "no_dismissal_pending"
    return "own_dismissal" if answer.by == decision.by else None

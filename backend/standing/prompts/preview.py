"""What each decision on a prompt would do, computed by the engine itself: the facts with the decision added.

Nothing is locked or written. A preview is no promise: a later decision uses the facts of its own moment.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import DomainError, NotFound
from backend.org.calendar import WorkingCalendar
from backend.org.calendar_years import get_working_calendar
from backend.standing.engine.assess import Assessment, assess
from backend.standing.engine.decision_rules import DECIDER, DISMISS, Role, find_decision_objections
from backend.standing.engine.facts import Decision, PromptDelivery, StudentFacts
from backend.standing.engine.ids import derived_id
from backend.standing.engine.prompts import Prompt
from backend.standing.policy import PolicyHistory, StandingPolicy
from backend.standing.prompts.errors import OBJECTION_ERRORS, RecordUnderReview
from backend.standing.prompts.objections import Judged, find_objection_error
from backend.standing.prompts.queries import PromptRow, load_prompt_row
from backend.standing.store.carry import load_facts
from backend.standing.store.load import StudentRef, load_student_refs, policy_history

_ANY_REASON = "-"
"""Stands for the reasons that the person will write."""


@dataclass(frozen=True, slots=True)
class OutcomePreview:
    """One outcome. `after` is the assessment that would follow; None if the decision would have no effect now.

    `error` says why it cannot be made now, such as a prompt without a receipt; `after` then shows what it would do
    once that is mended, where that can be said.
    """

    outcome: str
    needs_reasons: bool
    error: DomainError | None
    after: Assessment | None


@dataclass(frozen=True, slots=True)
class PromptPreview:
    """A prompt with the assessment of today, and what each outcome would change."""

    student: StudentRef
    facts: StudentFacts
    prompt: Prompt
    law: StandingPolicy
    role: Role
    at: datetime
    before: Assessment
    outcomes: tuple[OutcomePreview, ...]


@dataclass(frozen=True, slots=True)
class AssessedPrompt:
    """A prompt as it is at an instant, with the assessment that it is part of. Nothing is locked."""

    student: StudentRef
    facts: StudentFacts
    history: PolicyHistory
    calendar: WorkingCalendar
    assessment: Assessment
    prompt: Prompt


async def assess_prompt(session: AsyncSession, row: PromptRow, at: datetime) -> AssessedPrompt:
    """Compute a prompt from the facts at an instant. Raises `NotFound` and `RecordUnderReview`."""
    refs = await load_student_refs(session, [row.prompt.student_id])
    student = refs.get(row.prompt.student_id)
    if student is None:
        raise NotFound
    facts = (await load_facts(session, [student]))[student.student_id]
    history, calendar = policy_history(student.path), await get_working_calendar(session)
    assessment = assess(facts, history, calendar, at)
    for prompt in assessment.prompts:
        if prompt.prompt_id == str(row.prompt.id):
            return AssessedPrompt(student, facts, history, calendar, assessment, prompt)
    raise RecordUnderReview


async def preview_decisions(
    session: AsyncSession, actor: Actor, prompt_id: UUID, at: datetime
) -> PromptPreview:
    """Preview every outcome of a prompt that the caller may see.

    Raises `NotFound`, the error of the prompt's state if it waits for no decision, and `RecordUnderReview`.
    """
    row = await load_prompt_row(session, actor, prompt_id)
    assessed = await assess_prompt(session, row, at)
    student, facts, prompt, before = assessed.student, assessed.facts, assessed.prompt, assessed.assessment
    history, calendar = assessed.history, assessed.calendar
    role = DECIDER.get(prompt.state)
    if role is None:
        raise OBJECTION_ERRORS[f"prompt_{prompt.state}"]
    judged = Judged(prompt, facts, history.on(prompt.event_day), at)
    outcomes = []
    for outcome in (*judged.law.outcomes, DISMISS):
        decision = _suppose_decision(judged, role, outcome)
        objections = find_decision_objections(decision, prompt, facts, judged.law, at)
        without = find_decision_objections(replace(decision, reasons=""), prompt, facts, judged.law, at)
        after = assess(_suppose(facts, prompt, decision), history, calendar, at)
        has_effect = all(act.fact != f"decision:{decision.decision_id}" for act in after.refused)
        outcomes.append(
            OutcomePreview(
                outcome,
                needs_reasons=len(without) > len(objections),
                error=await find_objection_error(session, judged, outcome, objections)
                if objections
                else None,
                after=after if has_effect else None,
            )
        )
    return PromptPreview(student, facts, prompt, judged.law, role, at, before, tuple(outcomes))


def _suppose_decision(judged: Judged, role: Role, outcome: str) -> Decision:
    found = next(iter(judged.law.reasons), None) if outcome == DISMISS else None
    return Decision(
        decision_id=derived_id("preview", (judged.prompt.prompt_id, outcome)),
        prompt_id=judged.prompt.prompt_id,
        at=judged.at,
        by="",
        role=role.value,
        outcome=outcome,
        reasons=_ANY_REASON,
        found_reason=found,
        found_text=_ANY_REASON if found else "",
    )


def _suppose(facts: StudentFacts, prompt: Prompt, decision: Decision) -> StudentFacts:
    """The facts with the decision. A prompt that the school has not received yet is supposed to be received now."""
    if prompt.delivered_at is None:
        received = PromptDelivery(prompt.prompt_id, decision.at)
        facts = replace(facts, deliveries=(*facts.deliveries, received))
    return replace(facts, decisions=(*facts.decisions, decision))

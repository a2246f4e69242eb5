"""Explanations of what follows from a case, by the texts that stored prompts, changes and warnings have."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from backend.core.clock import legal_day
from backend.law_cases.fact_lines import list_fact_lines
from backend.law_cases.fixtures import World
from backend.standing.engine.assess import Assessment, StandingWarning
from backend.standing.engine.ledger import Cause, LedgerEntry
from backend.standing.engine.prompts import Prompt
from backend.standing.engine.trace import build_trace, decode_canonical
from backend.standing.explanations.change import EntryExplanationInput, explain_entry
from backend.standing.explanations.model import Explanation, Reader
from backend.standing.explanations.prompt import HumanDecision, PromptExplanationInput, explain_prompt
from backend.standing.explanations.warning import WARNING_RULES, WarningExplanationInput, explain_warning


def explain_prompt_of(world: World, prompt: Prompt, reader: Reader) -> Explanation:
    """Explain a prompt that the facts raise."""
    return explain_prompt(_prompt_input(world, prompt), list_fact_lines(world, prompt.evidence), reader)


def explain_change_of(
    world: World, entry: LedgerEntry, assessment: Assessment, reader: Reader
) -> Explanation:
    """Explain a change of standing that follows from the facts."""
    facts = list_fact_lines(world, entry.trace.facts)
    return explain_entry(_entry_input(world, entry, assessment), facts, reader)


def explain_warning_of(
    world: World, warning: StandingWarning, assessment: Assessment, reader: Reader
) -> Explanation:
    """Explain a warning that holds at the instant of the assessment."""
    at = assessment.as_of
    law = world.policies.on(legal_day(at))
    trace = build_trace(WARNING_RULES[warning.code], law, at, warning.facts)
    found = WarningExplanationInput(
        warning.code, warning.term, at, warning.proposed, decode_canonical(trace), law
    )
    return explain_warning(found, list_fact_lines(world, warning.facts), reader)


def _prompt_input(world: World, prompt: Prompt) -> PromptExplanationInput:
    return PromptExplanationInput(
        kind=prompt.kind,
        term=prompt.term,
        grounds=prompt.grounds,
        evidence=prompt.evidence,
        raised_at=prompt.raised_at,
        proposed=prompt.proposed,
        trace=decode_canonical(prompt.trace),
        state=prompt.state,
        delivered_at=prompt.delivered_at,
        due_at=prompt.deadline.at if prompt.deadline else None,
        blockers=prompt.blockers,
        closed_at=prompt.closed_at,
        closed_by=prompt.closed_by,
        decision=_decision(world, prompt.dismissal or prompt.closed_by),
        law=world.policies.on(prompt.event_day),
    )


def _decision(world: World, decision_id: str | None) -> HumanDecision | None:
    """The recorded decision; a prompt that the law closed names none."""
    for made in world.facts.decisions:
        if made.decision_id == decision_id:
            return HumanDecision(
                made.role, made.outcome, made.reasons, made.found_reason, made.found_text, made.at
            )
    return None


def _entry_input(world: World, entry: LedgerEntry, assessment: Assessment) -> EntryExplanationInput:
    prompt = next((each for each in assessment.prompts if each.prompt_id == entry.prompt_id), None)
    release = next((each for each in assessment.aid if each.change_id == entry.entry_id), None)
    reversal = next((each for each in assessment.ledger if each.reverses == entry.entry_id), None)
    day = legal_day(entry.at)
    days = world.policies.on(day).policy.integer("appeal.filing.days")
    return EntryExplanationInput(
        at=entry.at,
        cause=entry.cause,
        outcome=entry.outcome,
        before=entry.before,
        after=entry.after,
        policy_version=assessment.policy_version,
        trace=decode_canonical(entry.trace),
        law=world.policies.on(day),
        prompt=_prompt_input(world, prompt) if prompt else None,
        decision=_decision(world, entry.caused_by) if entry.cause is Cause.DECISION else None,
        decision_blockers=_blockers_before(world, entry, prompt) if entry.cause is Cause.DECISION else (),
        wait=_wait(world, entry, prompt),
        reasons=next(
            (each.reasons for each in world.facts.reversals if each.reversal_id == entry.caused_by), None
        ),
        reversed_at=reversal.at if reversal else None,
        aid_released_at=release.at if release else None,
        aid_blockers=release.blockers if release and release.at is None else (),
        appeal_until=day + timedelta(days=days),
    )


def _wait(world: World, entry: LedgerEntry, prompt: Prompt | None) -> tuple[datetime, tuple[str, ...]] | None:
    """The deadline and the blockers that stood before an execution that came after it."""
    if entry.cause is not Cause.EXPIRY or prompt is None or prompt.deadline is None:
        return None
    due = prompt.deadline.at
    if due is None or entry.at <= due:
        return None
    blockers = _blockers_before(world, entry, prompt)
    return (due, blockers) if blockers else None


def _blockers_before(world: World, entry: LedgerEntry, prompt: Prompt | None) -> tuple[str, ...]:
    """What stood open in the last moment before the change."""
    before = world.assessment(entry.at - timedelta(microseconds=1))
    found: Mapping[str, Prompt] = {each.prompt_id: each for each in before.prompts}
    earlier = found.get(prompt.prompt_id) if prompt else None
    return earlier.blockers if earlier else ()

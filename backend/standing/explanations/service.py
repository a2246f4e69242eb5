"""Load and explain stored prompts, ledger entries and warnings of visible students (PIPL art. 24)."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotFound
from backend.core.tenancy import scope_applied
from backend.org.tables import OrgUnit
from backend.standing.access import visible_students
from backend.standing.engine.facts import Status
from backend.standing.engine.trace import build_trace, decode_canonical
from backend.standing.explanations.change import EntryExplanationInput, explain_entry
from backend.standing.explanations.fact_lines import load_fact_lines
from backend.standing.explanations.model import Explanation, reader_for_role
from backend.standing.explanations.prompt import HumanDecision, PromptExplanationInput, explain_prompt
from backend.standing.explanations.waits import load_wait
from backend.standing.explanations.warning import WARNING_RULES, WarningExplanationInput, explain_warning
from backend.standing.policy import PolicyHistory
from backend.standing.store import tables
from backend.standing.store.carry import find_earlier_record
from backend.standing.store.load import policy_history


async def load_prompt_explanation(session: AsyncSession, actor: Actor, prompt_id: UUID) -> Explanation:
    """Explain a visible prompt; raises `NotFound`."""
    prompt = await _load_visible(session, actor, tables.PromptRecord, prompt_id)
    prompt_input = await _load_prompt_input(
        session, prompt, await load_policy_history(session, prompt.school_id)
    )
    facts = await load_fact_lines(session, prompt.student_id, prompt_input.evidence)
    return explain_prompt(prompt_input, facts, reader_for_role(actor.role))


async def load_entry_explanation(session: AsyncSession, actor: Actor, entry_id: UUID) -> Explanation:
    """Explain a visible ledger entry; raises `NotFound`."""
    entry = await _load_visible(session, actor, tables.StandingEntry, entry_id)
    entry_input = await _load_entry_input(session, entry, await load_policy_history(session, entry.school_id))
    facts = await load_fact_lines(session, entry.student_id, entry_input.trace["facts"])
    return explain_entry(entry_input, facts, reader_for_role(actor.role))


async def load_warning_explanation(session: AsyncSession, actor: Actor, warning_id: UUID) -> Explanation:
    """Explain a visible warning; raises `NotFound`."""
    warning = await _load_visible(session, actor, tables.StandingWarningRecord, warning_id)
    law = (await load_policy_history(session, warning.school_id)).on(legal_day(warning.at))
    warning_trace = build_trace(WARNING_RULES[warning.code], law, warning.at, warning.facts)
    warning_input = WarningExplanationInput(
        code=warning.code,
        term=warning.term_code,
        at=warning.at,
        proposed=warning.proposed,
        trace=decode_canonical(warning_trace),
        law=law,
    )
    facts = await load_fact_lines(session, warning.student_id, warning.facts)
    return explain_warning(warning_input, facts, reader_for_role(actor.role))


async def _load_visible(session: AsyncSession, actor: Actor, table: Any, row_id: UUID) -> Any:
    row = await session.scalar(
        select(table).where(table.id == row_id, visible_students(actor, table.student_id.expression))
    )
    if row is None:
        raise NotFound
    return row


async def load_policy_history(session: AsyncSession, school_id: UUID) -> PolicyHistory:
    """The policy of the school by day."""
    return policy_history((await session.get_one(OrgUnit, school_id)).path)


async def _load_prompt_input(
    session: AsyncSession, prompt: tables.PromptRecord, history: PolicyHistory
) -> PromptExplanationInput:
    step = await session.scalar(
        select(tables.PromptStep)
        .where(tables.PromptStep.prompt_id == prompt.id)
        .order_by(tables.PromptStep.seq.desc())
        .limit(1)
    )
    assert step is not None, "a prompt is stored with its first step"
    decision_id = step.dismissal or (
        _parse_id(step.closed_by) if step.state in {"decided", "dismissed"} else None
    )
    return PromptExplanationInput(
        kind=prompt.kind,
        term=prompt.term_code,
        grounds=tuple(prompt.grounds),
        evidence=tuple(prompt.evidence),
        raised_at=prompt.raised_at,
        proposed=prompt.proposed,
        trace=prompt.trace,
        state=step.state,
        delivered_at=step.delivered_at,
        due_at=step.due_at,
        blockers=tuple(step.blockers),
        closed_at=step.closed_at,
        closed_by=step.closed_by,
        decision=await _load_decision(session, prompt.student_id, decision_id),
        law=history.on(prompt.event_day),
    )


def _parse_id(text: str | None) -> UUID | None:
    return UUID(text) if text else None


async def _load_recorded(session: AsyncSession, table: Any, student_id: UUID, row_id: UUID) -> Any:
    """A recorded act on the student, also if it was recorded in the school that the student came from."""
    row = await session.get(table, row_id)
    earlier = await find_earlier_record(session, student_id) if row is None else None
    if earlier is None:
        assert row is not None, "an entry or a step names an act that is on file"
        return row
    async with scope_applied(session, earlier.scope):
        return await _load_recorded(session, table, earlier.student_id, row_id)


async def _load_decision(
    session: AsyncSession, student_id: UUID, decision_id: UUID | None
) -> HumanDecision | None:
    if decision_id is None:
        return None
    row = await _load_recorded(session, tables.PromptDecision, student_id, decision_id)
    return HumanDecision(row.role, row.outcome, row.reasons, row.found_reason, row.found_text, row.at)


async def _load_entry_input(
    session: AsyncSession, entry: tables.StandingEntry, history: PolicyHistory
) -> EntryExplanationInput:
    law = history.on(legal_day(entry.at))
    known_on = legal_day(entry.recorded_at)
    days = history.on(known_on).policy.integer("appeal.filing.days")
    prompt = await session.get(tables.PromptRecord, entry.prompt_id) if entry.prompt_id else None
    reversal = await session.scalar(
        select(tables.StandingEntry.at).where(tables.StandingEntry.reverses == entry.id)
    )
    release = await session.get(tables.AidReleaseRecord, entry.id)
    return EntryExplanationInput(
        at=entry.at,
        cause=entry.cause,
        outcome=entry.outcome,
        before=Status(entry.standing_before, entry.study_form_before),
        after=Status(entry.standing_after, entry.study_form_after),
        policy_version=entry.policy_version,
        trace=entry.trace,
        law=law,
        prompt=await _load_prompt_input(session, prompt, history) if prompt else None,
        decision=await _load_decision(
            session, entry.student_id, UUID(entry.caused_by) if entry.cause == "decision" else None
        ),
        decision_blockers=await _load_decision_blockers(session, entry),
        wait=await load_wait(session, entry),
        reasons=await _load_reasons(session, entry),
        reversed_at=reversal,
        aid_released_at=release.at if release else None,
        aid_blockers=() if release else await _load_aid_blockers(session, entry),
        appeal_until=known_on + timedelta(days=days),
    )


async def _load_reasons(session: AsyncSession, entry: tables.StandingEntry) -> str | None:
    table = {"appeal": tables.AppealDecided, "reversal": tables.ChangeReversed}.get(entry.cause)
    if table is None:
        return None
    row = await _load_recorded(session, table, entry.student_id, UUID(entry.caused_by))
    return str(row.reasons)


async def _load_decision_blockers(session: AsyncSession, entry: tables.StandingEntry) -> tuple[str, ...]:
    """The blockers of the prompt in its last state before a person decided it."""
    if entry.cause != "decision":
        return ()
    blockers = await session.scalar(
        select(tables.PromptStep.blockers)
        .where(tables.PromptStep.prompt_id == entry.prompt_id, tables.PromptStep.closed_at.is_(None))
        .order_by(tables.PromptStep.seq.desc())
        .limit(1)
    )
    return tuple(blockers or ())


async def _load_aid_blockers(session: AsyncSession, entry: tables.StandingEntry) -> tuple[str, ...]:
    """The blockers of the withdrawal of aid in the stored assessment."""
    standing = await session.get(tables.StudentStanding, entry.student_id)
    releases = standing.assessment["aid"] if standing else []
    return next(
        (tuple(release["blockers"]) for release in releases if release["change_id"] == str(entry.id)), ()
    )

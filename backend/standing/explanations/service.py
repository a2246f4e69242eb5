"""Explanations of stored prompts, entries and warnings, for whoever may see the student (PIPL art. 24)."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotFound
from backend.org.tables import OrgUnit
from backend.standing.access import visible_students
from backend.standing.engine.facts import Status
from backend.standing.engine.trace import document, trace
from backend.standing.explanations.change import EntryCase, explain_entry
from backend.standing.explanations.fact_lines import fact_lines
from backend.standing.explanations.prompt import (
    Explanation,
    PersonsDecision,
    PromptCase,
    explain_prompt,
    reader_of,
)
from backend.standing.explanations.warning import WARNING_RULES, WarningCase, explain_warning
from backend.standing.policy import PolicyHistory
from backend.standing.store import tables
from backend.standing.store.lock import policy_history


async def prompt_explained(session: AsyncSession, actor: Actor, prompt_id: UUID) -> Explanation:
    """A prompt that the caller may see; else `NotFound`, whatever the cause."""
    prompt = await _own(session, actor, tables.PromptRecord, prompt_id)
    case = await _prompt_case(session, prompt, await book_of(session, prompt.school_id))
    facts = await fact_lines(session, prompt.student_id, case.evidence)
    return explain_prompt(case, facts, reader_of(actor.role))


async def entry_explained(session: AsyncSession, actor: Actor, entry_id: UUID) -> Explanation:
    """An entry of the ledger that the caller may see; else `NotFound`, whatever the cause."""
    entry = await _own(session, actor, tables.StandingEntry, entry_id)
    case = await _entry_case(session, entry, await book_of(session, entry.school_id))
    facts = await fact_lines(session, entry.student_id, case.trace["facts"])
    return explain_entry(case, facts, reader_of(actor.role))


async def warning_explained(session: AsyncSession, actor: Actor, warning_id: UUID) -> Explanation:
    """A warning that the caller may see; else `NotFound`, whatever the cause."""
    warning = await _own(session, actor, tables.StandingWarningRecord, warning_id)
    law = (await book_of(session, warning.school_id)).on(legal_day(warning.at))
    rested_on = trace(WARNING_RULES[warning.code], law, warning.at, warning.facts)
    case = WarningCase(
        code=warning.code,
        term=warning.term_code,
        at=warning.at,
        proposed=warning.proposed,
        trace=document(rested_on),
        law=law,
    )
    facts = await fact_lines(session, warning.student_id, warning.facts)
    return explain_warning(case, facts, reader_of(actor.role))


async def _own(session: AsyncSession, actor: Actor, table: Any, row_id: UUID) -> Any:
    found = await session.scalar(
        select(table).where(table.id == row_id, visible_students(actor, table.student_id.expression))
    )
    if found is None:
        raise NotFound
    return found


async def book_of(session: AsyncSession, school_id: UUID) -> PolicyHistory:
    """The law of the school through time."""
    return policy_history((await session.get_one(OrgUnit, school_id)).path)


async def _prompt_case(session: AsyncSession, prompt: tables.PromptRecord, book: PolicyHistory) -> PromptCase:
    step = await session.scalar(
        select(tables.PromptStep)
        .where(tables.PromptStep.prompt_id == prompt.id)
        .order_by(tables.PromptStep.seq.desc())
        .limit(1)
    )
    assert step is not None, "a prompt is stored with its first step"
    made = step.dismissal or (_id_of(step.closed_by) if step.state in {"decided", "dismissed"} else None)
    return PromptCase(
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
        decision=await _decision(session, made),
        law=book.on(prompt.event_day),
    )


def _id_of(text: str | None) -> UUID | None:
    return UUID(text) if text else None


async def _decision(session: AsyncSession, decision_id: UUID | None) -> PersonsDecision | None:
    if decision_id is None:
        return None
    row = await session.get_one(tables.PromptDecision, decision_id)
    return PersonsDecision(row.role, row.outcome, row.reasons, row.found_reason, row.found_text, row.at)


async def _entry_case(session: AsyncSession, entry: tables.StandingEntry, book: PolicyHistory) -> EntryCase:
    law = book.on(legal_day(entry.at))
    known_on = legal_day(entry.recorded_at)
    days = book.on(known_on).policy.integer("appeal.filing.days")
    prompt = await session.get(tables.PromptRecord, entry.prompt_id) if entry.prompt_id else None
    reversal = await session.scalar(
        select(tables.StandingEntry.at).where(tables.StandingEntry.reverses == entry.id)
    )
    release = await session.get(tables.AidReleaseRecord, entry.id)
    return EntryCase(
        at=entry.at,
        cause=entry.cause,
        outcome=entry.outcome,
        before=Status(entry.standing_before, entry.study_form_before),
        after=Status(entry.standing_after, entry.study_form_after),
        policy_version=entry.policy_version,
        trace=entry.trace,
        law=law,
        prompt=await _prompt_case(session, prompt, book) if prompt else None,
        decision=await _decision(session, UUID(entry.caused_by)) if entry.cause == "decision" else None,
        reasons=await _reasons(session, entry),
        reversed_at=reversal,
        aid_released_at=release.at if release else None,
        aid_blockers=() if release else await _aid_blockers(session, entry),
        appeal_until=known_on + timedelta(days=days),
    )


async def _reasons(session: AsyncSession, entry: tables.StandingEntry) -> str | None:
    match entry.cause:
        case "appeal":
            return (await session.get_one(tables.AppealDecided, UUID(entry.caused_by))).reasons
        case "reversal":
            return (await session.get_one(tables.ChangeReversed, UUID(entry.caused_by))).reasons
    return None


async def _aid_blockers(session: AsyncSession, entry: tables.StandingEntry) -> tuple[str, ...]:
    """What the withdrawal of aid waits for, by the newest picture."""
    newest = await session.get(tables.StudentStanding, entry.student_id)
    releases = newest.assessment["aid"] if newest else []
    return next(
        (tuple(release["blockers"]) for release in releases if release["change_id"] == str(entry.id)), ()
    )

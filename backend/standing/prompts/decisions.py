"""Deciding prompts, answering dismissals, taking automatic executions back (HN334-4.1b, readings 10 and 12).

What the law says of an act is asked of the rules before it is recorded; the change itself follows from the facts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.clock import LEGAL_ZONE
from backend.core.errors import DomainError, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.org.tables import OrgUnit
from backend.people.attachments import AttachedTo, attach
from backend.roll_call.tables import RollCall
from backend.standing.engine import facts
from backend.standing.engine.decision_rules import (
    DISMISS,
    NOTICE,
    Role,
    acknowledgement_objection,
    decision_objections,
    evidence_checks,
    missing_evidence,
    notice_in_time,
)
from backend.standing.engine.ledger import Cause, in_force
from backend.standing.explanations.phrases import PARTS, Bilingual, joined
from backend.standing.prompts.case import (
    PromptCase,
    apply_and_verify,
    must_be_superior,
    must_be_superior_side,
    open_prompt_case,
)
from backend.standing.prompts.errors import (
    REFUSALS,
    ChangeNotAutomatic,
    ChangeNotInForce,
)
from backend.standing.store import tables


@dataclass(frozen=True, slots=True)
class DecidePrompt:
    """An outcome of the law with its reasons, or `dismiss` with a justified reason that was found."""

    prompt_id: UUID
    outcome: str
    reasons: str = ""
    found_reason: str | None = None
    found_text: str = ""
    attachment_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class AnswerDismissal:
    """The superior accepts a dismissal or refuses it, with an opinion."""

    decision_id: UUID
    accepted: bool
    opinion: str


@dataclass(frozen=True, slots=True)
class ReverseExecution:
    """The authority takes an automatic execution back, with reasons."""

    entry_id: UUID
    reasons: str


async def decide_prompt(
    session: AsyncSession, actor: Actor, command: DecidePrompt, at: datetime
) -> tables.PromptDecision:
    """Decide for the school, or after an escalation for its superior. What was due by then has come first.

    Raises `NotFound`, `NotPermitted`, and whatever the rules object (`errors.REFUSALS`).
    """
    role = _role(actor)
    case = await open_prompt_case(session, command.prompt_id, at)
    if role is Role.SUPERIOR:
        must_be_superior(actor, case.held.subject.path)
    decision = facts.Decision(
        decision_id=str(new_id()),
        prompt_id=str(command.prompt_id),
        at=case.held.at,
        by=str(actor.account_id),
        role=role.value,
        outcome=command.outcome,
        reasons=command.reasons,
        found_reason=command.found_reason if command.outcome == DISMISS else None,
        found_text=command.found_text,
    )
    objections = decision_objections(decision, case.prompt, case.facts, case.law, case.held.at)
    if objections:
        raise await _refusal(session, case, command, objections)
    row = await _record(session, actor, case, decision)
    to = AttachedTo("prompt_decision", row.id, row.school_id, row.student_id)
    await attach(session, actor, command.attachment_ids, to, case.held.at)
    await apply_and_verify(session, case)
    return row


def _role(actor: Actor) -> Role:
    if actor.role == "registrar":
        return Role.REGISTRAR
    if actor.role in {"bureau", "province"}:
        return Role.SUPERIOR
    raise NotPermitted(
        reason_zh="提示由学校管理员处理，逾期后由上级处理",
        reason_en="prompts are decided by the registrar, after an escalation by the superior",
    )


async def _record(
    session: AsyncSession, actor: Actor, case: PromptCase, decision: facts.Decision
) -> tables.PromptDecision:
    row = tables.PromptDecision(
        id=UUID(decision.decision_id),
        prompt_id=case.prompt_id,
        **case.whose,
        role=decision.role,
        outcome=decision.outcome,
        reasons=decision.reasons,
        found_reason=decision.found_reason,
        found_text=decision.found_text,
        decided_by=actor.account_id,
        at=decision.at,
    )
    session.add(row)
    await session.flush()
    after = {
        "prompt": str(row.prompt_id),
        "role": row.role,
        "outcome": row.outcome,
        "found": row.found_reason,
    }
    _audit(session, case, "prompt.decision", ("prompt_decision", row.id), after)
    return row


# --- what the rules object, in words ---


async def _refusal(
    session: AsyncSession, case: PromptCase, command: DecidePrompt, objections: Sequence[str]
) -> DomainError:
    """The first objection, with the names of what is missing or to choose from."""
    told: dict[str, Any] = {
        "outcome": command.outcome,
        "outcomes": ", ".join(case.law.outcomes),
        "reasons": ", ".join(case.law.reasons),
    }
    if not {"notice_undelivered", "incomplete_evidence"}.isdisjoint(objections):
        told |= await _missing(session, case)
    return REFUSALS[objections[0]](**told)


async def _missing(session: AsyncSession, case: PromptCase) -> dict[str, str]:
    """Which checks lack their notice, and which parts each check lacks, by the checks' titles."""
    checks = evidence_checks(case.prompt, case.facts)
    rows = await session.execute(
        select(RollCall.id, RollCall.title).where(RollCall.id.in_([UUID(check.check_id) for check in checks]))
    )
    titles = {str(roll_call_id): title for roll_call_id, title in rows}
    unnoticed, missing = [], []
    for check in checks:
        title = f"《{titles.get(check.check_id, '')}》{check.closes_at.astimezone(LEGAL_ZONE):%Y-%m-%d}"
        late = not notice_in_time(check, case.law, case.held.at)
        parts = [*missing_evidence(check, case.law, case.held.at), *([NOTICE] if late else [])]
        unnoticed += [title] if late else []
        if parts:
            words = joined(PARTS[part] for part in parts)
            missing.append(Bilingual(f"{title}：{words.zh}", f"{title}: {words.en}"))
    return {
        "checks_zh": "、".join(unnoticed),
        "checks_en": ", ".join(unnoticed),
        "missing_zh": "；".join(each.zh for each in missing),
        "missing_en": "; ".join(each.en for each in missing),
    }


# --- the superior ---


async def answer_dismissal(
    session: AsyncSession, actor: Actor, command: AnswerDismissal, at: datetime
) -> UUID:
    """Accept a dismissal, which takes the misses out of the count, or refuse it, and the prompt runs on.

    Returns the prompt's id. Never by the one who dismissed. Raises `NotFound`, `NotPermitted`, `NoDismissalPending`, `OwnDismissal`.
    """
    must_be_superior_side(actor)
    made = await session.get(tables.PromptDecision, command.decision_id)
    if made is None:
        raise NotFound
    case = await open_prompt_case(session, made.prompt_id, at)
    must_be_superior(actor, case.held.subject.path)
    decision = next((each for each in case.facts.decisions if each.decision_id == str(made.id)), None)
    answer = facts.Acknowledgement(str(made.id), case.held.at, str(actor.account_id), command.accepted)
    objection = acknowledgement_objection(answer, decision, case.prompt)
    if objection is not None:
        raise REFUSALS[objection]
    row = tables.DismissalAnswer(
        decision_id=made.id,
        **case.whose,
        accepted=command.accepted,
        opinion=command.opinion,
        decided_by=made.decided_by,
        answered_by=actor.account_id,
        at=case.held.at,
    )
    session.add(row)
    await session.flush()
    after = {"prompt": str(made.prompt_id), "accepted": row.accepted}
    _audit(session, case, "prompt.dismissal_answer", ("prompt_decision", made.id), after)
    await apply_and_verify(session, case)
    return case.prompt_id


async def reverse_execution(
    session: AsyncSession, actor: Actor, command: ReverseExecution, at: datetime
) -> UUID:
    """Take back what was executed on expiry, in one step: the earlier status returns, its misses count no more.

    By the school's superior. Returns the prompt's id. Raises `NotFound`, `NotPermitted`, `ChangeNotAutomatic`, `ChangeNotInForce`.
    """
    must_be_superior_side(actor)
    entry = await session.get(tables.StandingEntry, command.entry_id)
    if entry is None:
        raise NotFound
    if entry.cause != Cause.EXPIRY or entry.prompt_id is None:
        must_be_superior(actor, (await session.get_one(OrgUnit, entry.school_id)).path)
        raise ChangeNotAutomatic
    case = await open_prompt_case(session, entry.prompt_id, at)
    must_be_superior(actor, case.held.subject.path)
    if str(entry.id) not in {each.entry_id for each in in_force(case.assessment.ledger)}:
        raise ChangeNotInForce
    row = tables.ChangeReversed(
        id=new_id(),
        change_id=entry.id,
        **case.whose,
        reasons=command.reasons,
        reversed_by=actor.account_id,
        at=case.held.at,
    )
    session.add(row)
    await session.flush()
    _audit(session, case, "standing.taken_back", ("standing_entry", entry.id), {"reasons": row.reasons})
    await apply_and_verify(session, case)
    return case.prompt_id


def _audit(
    session: AsyncSession, case: PromptCase, action: str, subject: tuple[str, UUID], after: dict[str, Any]
) -> None:
    noun, identifier = subject
    act = audit.Act(action, noun, str(identifier), case.held.subject.path, after=after)
    audit.record(session, act, case.held.at)

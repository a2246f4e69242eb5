"""Decide prompts, answer dismissals and reverse automatic executions (HN334-4.1b, readings 10, 12 and 25).

Each act is first checked by the decision rules and then recorded as a fact. The change of standing itself is not
written here: it follows when the student is recomputed (`apply_and_verify`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.org.tables import OrgUnit
from backend.people.attachments import AttachmentSubject, attach_files
from backend.standing.engine import facts
from backend.standing.engine.decision_rules import (
    DISMISS,
    Role,
    find_acknowledgement_objection,
    find_decision_objections,
)
from backend.standing.engine.ledger import Cause, sanctions_in_force
from backend.standing.prompts.case import (
    PromptCase,
    apply_and_verify,
    open_prompt_case,
    require_superior,
    require_superior_role,
)
from backend.standing.prompts.errors import (
    OBJECTION_ERRORS,
    ChangeNotAutomatic,
    ReversalTargetNotInForce,
)
from backend.standing.prompts.objections import Judged, find_objection_error
from backend.standing.store import tables


@dataclass(frozen=True, slots=True)
class DecidePrompt:
    """An outcome that the policy offers, with reasons; or `dismiss` with the justified reason that was found."""

    prompt_id: UUID
    outcome: str
    reasons: str = ""
    found_reason: str | None = None
    found_text: str = ""
    attachment_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class AnswerDismissal:
    """The superior accepts or refuses a dismissal and gives an opinion."""

    decision_id: UUID
    accepted: bool
    opinion: str


@dataclass(frozen=True, slots=True)
class ReverseExecution:
    """The superior reverses an automatic execution and gives reasons."""

    entry_id: UUID
    reasons: str


async def decide_prompt(
    session: AsyncSession, actor: Actor, command: DecidePrompt, at: datetime
) -> tables.PromptDecision:
    """Decide a prompt for the school or, after an escalation, for its superior. Whatever is due by now is saved first.

    Raises `NotFound`, `NotPermitted`, and the error of the first objection (`errors.OBJECTION_ERRORS`).
    """
    role = _require_deciding_role(actor)
    case = await open_prompt_case(session, command.prompt_id, at)
    if role is Role.SUPERIOR:
        require_superior(actor, case.school_path)
    decision = facts.Decision(
        decision_id=str(new_id()),
        prompt_id=str(command.prompt_id),
        at=case.at,
        by=str(actor.account_id),
        role=role.value,
        outcome=command.outcome,
        reasons=command.reasons,
        found_reason=command.found_reason if command.outcome == DISMISS else None,
        found_text=command.found_text,
    )
    objections = find_decision_objections(decision, case.prompt, case.facts, case.law, case.at)
    if objections:
        judged = Judged(case.prompt, case.facts, case.law, case.at)
        raise await find_objection_error(session, judged, command.outcome, objections)
    row = await _insert_decision(session, actor, case, decision)
    to = AttachmentSubject("prompt_decision", row.id, row.school_id, row.student_id)
    await attach_files(session, actor, command.attachment_ids, to, case.at)
    await apply_and_verify(session, case)
    return row


def _require_deciding_role(actor: Actor) -> Role:
    if actor.role == "registrar":
        return Role.REGISTRAR
    if actor.role in {"bureau", "province"}:
        return Role.SUPERIOR
    raise NotPermitted(
        reason_zh="提示由学校管理员处理，逾期后由上级处理",
        reason_en="the registrar decides prompts; after an escalation the superior does",
    )


async def _insert_decision(
    session: AsyncSession, actor: Actor, case: PromptCase, decision: facts.Decision
) -> tables.PromptDecision:
    row = tables.PromptDecision(
        id=UUID(decision.decision_id),
        prompt_id=case.prompt_id,
        **case.owner_columns,
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
        "blockers": list(case.prompt.blockers),
    }
    _audit(session, case, "prompt.decision", ("prompt_decision", row.id), after)
    return row


# --- acts of the superior ---


async def answer_dismissal(
    session: AsyncSession, actor: Actor, command: AnswerDismissal, at: datetime
) -> UUID:
    """Accept a dismissal, which excludes its misses from the count, or refuse it, which reopens the prompt.

    Returns the prompt's id. The account that dismissed cannot answer (invariant 9). Raises `NotFound`, `NotPermitted`,
    `NoDismissalPending`, `OwnDismissal`.
    """
    require_superior_role(actor)
    dismissal = await session.get(tables.PromptDecision, command.decision_id)
    if dismissal is None:
        raise NotFound
    case = await open_prompt_case(session, dismissal.prompt_id, at)
    require_superior(actor, case.school_path)
    decision = next((each for each in case.facts.decisions if each.decision_id == str(dismissal.id)), None)
    answer = facts.Acknowledgement(str(dismissal.id), case.at, str(actor.account_id), command.accepted)
    objection = find_acknowledgement_objection(answer, decision, case.prompt)
    if objection is not None:
        raise OBJECTION_ERRORS[objection]
    row = tables.DismissalAnswer(
        decision_id=dismissal.id,
        **case.owner_columns,
        accepted=command.accepted,
        opinion=command.opinion,
        decided_by=dismissal.decided_by,
        answered_by=actor.account_id,
        at=case.at,
    )
    session.add(row)
    await session.flush()
    after = {"prompt": str(dismissal.prompt_id), "accepted": row.accepted}
    _audit(session, case, "prompt.dismissal_answer", ("prompt_decision", dismissal.id), after)
    await apply_and_verify(session, case)
    return case.prompt_id


async def reverse_execution(
    session: AsyncSession, actor: Actor, command: ReverseExecution, at: datetime
) -> UUID:
    """Reverse an automatic execution in one step: the earlier status is restored and its misses no longer count.

    Only the school's superior may do this. Returns the prompt's id. Raises `NotFound`, `NotPermitted`,
    `ChangeNotAutomatic`, `ReversalTargetNotInForce`.
    """
    require_superior_role(actor)
    entry = await session.get(tables.StandingEntry, command.entry_id)
    if entry is None:
        raise NotFound
    if entry.cause != Cause.EXPIRY or entry.prompt_id is None:
        require_superior(actor, (await session.get_one(OrgUnit, entry.school_id)).path)
        raise ChangeNotAutomatic
    case = await open_prompt_case(session, entry.prompt_id, at)
    require_superior(actor, case.school_path)
    if str(entry.id) not in {each.entry_id for each in sanctions_in_force(case.assessment.ledger)}:
        raise ReversalTargetNotInForce
    row = tables.ChangeReversed(
        id=new_id(),
        change_id=entry.id,
        **case.owner_columns,
        reasons=command.reasons,
        reversed_by=actor.account_id,
        at=case.at,
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
    act = audit.Act(action, noun, str(identifier), case.school_path, after=after)
    audit.record(session, act, case.at)

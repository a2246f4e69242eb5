"""What the superior adds to a prompt whose evidence is incomplete or disputed (invariant 7, reading 19).

A prompt with missing evidence leads to no sanction. The superior completes it with a record of the notice's delivery or
by determining a check whose submission has no verdict, or closes it; a further miss then raises a new prompt. Leave
filed after the absence that it covers began takes nothing from the prompt until the superior has accepted it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.errors import Conflict, NotFound, NotPermitted
from backend.roll_call.access import acts_for_launcher
from backend.roll_call.outcomes import (
    OutcomeDecision,
    find_current_outcome,
    find_obligation,
    lock_obligation,
    lock_roll_call_shared,
    write_outcome,
)
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import RollCall
from backend.standing.engine.decision_rules import (
    NOTICE,
    SUBMISSIONS,
    list_evidence_checks,
    list_missing_evidence,
    list_open_leave_claims,
    list_unproven_checks,
    was_notice_in_time,
)
from backend.standing.engine.facts import RollCallFact
from backend.standing.prompts.case import (
    PromptCase,
    apply_and_verify,
    open_prompt_case,
    require_superior,
    require_superior_role,
)
from backend.standing.prompts.deliveries import OfflineMethod
from backend.standing.prompts.errors import (
    OBJECTION_ERRORS,
    EvidenceAlreadyComplete,
    EvidenceNotMissing,
    NoLateLeave,
    NoticeTimeInvalid,
)
from backend.standing.store.tables import EvidenceCompleted, LateLeaveAnswer, PromptClosed

Finding = Literal["present", "missed"]


@dataclass(frozen=True, slots=True)
class RecordNoticeDelivery:
    """The notice of a roll call reached the student in another way; `note` names the document that proves it."""

    prompt_id: UUID
    roll_call_id: UUID
    how: OfflineMethod
    received_at: datetime
    note: str


@dataclass(frozen=True, slots=True)
class DetermineCheck:
    """The finding of a person on a missed check whose submission has no verdict."""

    prompt_id: UUID
    roll_call_id: UUID
    finding: Finding
    note: str


@dataclass(frozen=True, slots=True)
class ClosePrompt:
    """Close a prompt for want of evidence. Its unproven checks do not count any more."""

    prompt_id: UUID
    reasons: str


@dataclass(frozen=True, slots=True)
class AnswerLateLeave:
    """Accept or refuse leave that was filed after the absence that it covers began."""

    prompt_id: UUID
    leave_id: UUID
    accepted: bool
    opinion: str


async def record_notice_delivery(
    session: AsyncSession, actor: Actor, command: RecordNoticeDelivery, at: datetime
) -> None:
    """Complete the evidence by a record of delivery to the student.

    Raises `NoticeTimeInvalid` unless the delivery left at least the minimum window, `EvidenceNotMissing` if the
    notice is proven already, and the error of the prompt's state if it is closed.
    """
    case = await _open_case(session, actor, command.prompt_id, at)
    check = _find_check(case, command.roll_call_id)
    if was_notice_in_time(check, case.law, case.at):
        raise EvidenceNotMissing
    reached_at = max(command.received_at, check.opens_at)
    if command.received_at < check.notified_at or check.closes_at - reached_at < case.law.minimum_window:
        raise NoticeTimeInvalid(minutes=int(case.law.minimum_window.total_seconds() // 60))
    row = _build_record(case, actor, command.roll_call_id, NOTICE, command.note)
    row.delivered_at, row.how = command.received_at, command.how
    await _complete_evidence(session, case, row)


async def determine_check(session: AsyncSession, actor: Actor, command: DetermineCheck, at: datetime) -> None:
    """Determine a missed check whose submission has no verdict, as the launching side (invariant 9).

    `missed` completes the evidence; `present` corrects the result, so that the check no longer counts as a miss.
    Raises `EvidenceNotMissing` and the error of the prompt's state if it is closed.
    """
    case = await _open_case(session, actor, command.prompt_id, at, as_superior=False)
    check = _find_check(case, command.roll_call_id)
    roll_call = await session.get(RollCall, command.roll_call_id)
    if roll_call is None or not acts_for_launcher(roll_call, actor):
        raise NotPermitted(
            reason_zh="核验结果由发起单位或其上级认定",
            reason_en="only the launcher or its superior determines a result",
        )
    if SUBMISSIONS not in list_missing_evidence(check, case.law, case.at):
        raise EvidenceNotMissing
    if command.finding == "present":
        await _correct_result(session, case, roll_call, command.note)
    row = _build_record(case, actor, command.roll_call_id, SUBMISSIONS, command.note)
    await _complete_evidence(session, case, row, finding=command.finding)


async def close_prompt(session: AsyncSession, actor: Actor, command: ClosePrompt, at: datetime) -> None:
    """Close an open prompt whose evidence is incomplete.

    Raises `EvidenceAlreadyComplete` if nothing is missing, and the error of the prompt's state if it is closed.
    """
    case = await _open_case(session, actor, command.prompt_id, at)
    unproven = list_unproven_checks(case.prompt, case.facts, case.law, case.at)
    if not unproven:
        raise EvidenceAlreadyComplete
    session.add(
        PromptClosed(
            prompt_id=case.prompt_id,
            **case.owner_columns,
            reasons=command.reasons,
            closed_by=actor.account_id,
            at=case.at,
        )
    )
    await session.flush()
    _audit(session, case, "prompt.closed", {"unproven": list(unproven)})
    await apply_and_verify(session, case)


async def answer_late_leave(
    session: AsyncSession, actor: Actor, command: AnswerLateLeave, at: datetime
) -> None:
    """Answer late leave, once. Accepted leave excuses the absence; the prompt is withdrawn if it loses its basis.

    Raises `NoLateLeave` if no such leave waits for an answer, and the error of the prompt's state if it is closed.
    """
    case = await _open_case(session, actor, command.prompt_id, at)
    waiting = {leave.leave_id for leave in list_open_leave_claims(case.prompt, case.facts, case.at)}
    if str(command.leave_id) not in waiting:
        raise NoLateLeave
    session.add(
        LateLeaveAnswer(
            leave_id=command.leave_id,
            **case.owner_columns,
            accepted=command.accepted,
            opinion=command.opinion,
            answered_by=actor.account_id,
            at=case.at,
        )
    )
    await session.flush()
    after = {"leave_id": str(command.leave_id), "accepted": command.accepted}
    _audit(session, case, "prompt.late_leave_answered", after)
    await apply_and_verify(session, case)


async def _open_case(
    session: AsyncSession, actor: Actor, prompt_id: UUID, at: datetime, *, as_superior: bool = True
) -> PromptCase:
    require_superior_role(actor)
    case = await open_prompt_case(session, prompt_id, at)
    if as_superior:
        require_superior(actor, case.school_path)
    if not case.prompt.is_open:
        raise OBJECTION_ERRORS[f"prompt_{case.prompt.state}"]
    return case


def _find_check(case: PromptCase, roll_call_id: UUID) -> RollCallFact:
    """The check of the prompt's evidence; raises `NotFound` for any other."""
    for check in list_evidence_checks(case.prompt, case.facts):
        if check.check_id == str(roll_call_id):
            return check
    raise NotFound


async def _correct_result(session: AsyncSession, case: PromptCase, roll_call: RollCall, note: str) -> None:
    student_id = case.locked.subject.student_id
    obligation = await find_obligation(session, roll_call, student_id)
    if obligation is None:
        raise NotFound
    await lock_obligation(session, roll_call.id, student_id)
    await lock_roll_call_shared(session, roll_call.id)
    earlier = await find_current_outcome(session, roll_call.id, student_id)
    decision = OutcomeDecision(
        Outcome.PRESENT,
        "determined_by_person",
        "determination",
        {"reason": note, "prompt": str(case.prompt_id)},
    )
    if not await write_outcome(session, roll_call, obligation, decision, case.at, replaces=earlier):
        raise Conflict(
            reason_zh="该核验结果刚有变化，请重试", reason_en="the result has just changed; try again"
        )


def _build_record(
    case: PromptCase, actor: Actor, roll_call_id: UUID, part: str, note: str
) -> EvidenceCompleted:
    return EvidenceCompleted(
        roll_call_id=roll_call_id,
        part=part,
        **case.owner_columns,
        prompt_id=case.prompt_id,
        note=note,
        recorded_by=actor.account_id,
        at=case.at,
    )


async def _complete_evidence(
    session: AsyncSession, case: PromptCase, row: EvidenceCompleted, **details: str
) -> None:
    session.add(row)
    await session.flush()
    after = {
        "roll_call_id": str(row.roll_call_id),
        "part": row.part,
        "delivered_at": row.delivered_at.isoformat() if row.delivered_at else None,
        "note": row.note,
        **details,
    }
    _audit(session, case, "prompt.evidence_completed", after)
    await apply_and_verify(session, case)


def _audit(session: AsyncSession, case: PromptCase, action: str, after: dict[str, Any]) -> None:
    act = audit.Act(action, "prompt", str(case.prompt_id), case.school_path, after=after)
    audit.record(session, act, case.at)

"""File and decide claims that a miss had a justified reason (readings 6 and 10).

The student, the counselor or the registrar files a claim with a reason of the catalogue; leave that came too late
becomes a claim automatically. The launching side decides: a school never judges its own absentees.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.errors import DomainError, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.leave.kinds import CLAIM_REASONS, LeaveKind
from backend.leave.rules import Exemption, LeaveInterval, LeaveState, find_exemption
from backend.leave.tables import LeaveRequest
from backend.people.attachments import AttachmentSubject, attach_files
from backend.roll_call.access import access_roll_call, acts_for_launcher
from backend.roll_call.rules import Outcome
from backend.standing.access import require_student_access
from backend.standing.claims import errors
from backend.standing.claims.queries import ClaimView, load_claim
from backend.standing.engine.assess import Assessment
from backend.standing.engine.facts import RollCallFact, StudentFacts, check_key
from backend.standing.engine.misses import CheckStatus, event_day, find_reason_objection, latest_outcome
from backend.standing.engine.prompts import PromptState
from backend.standing.events import ReasonClaimDecided, ReasonClaimFiled
from backend.standing.store.load import load_own_facts, policy_history
from backend.standing.store.lock import (
    LockedStudent,
    assess_locked_student,
    lock_for_assessment,
)
from backend.standing.store.save import recompute_locked, save_assessment
from backend.standing.store.tables import ClaimDecision, ReasonClaimRecord

SCHOOL_LAUNCHER = "school"
LATE_LEAVE_TEXT = "通知发出后才申请或批准的请假"
_REASON_OBJECTIONS: dict[str, type[DomainError]] = {
    "reason_not_in_catalogue": errors.ClaimReasonUnknown,
    "reason_needs_text": errors.ClaimReasonNeedsText,
}
_FINAL_STATES = {PromptState.DECIDED, PromptState.EXECUTED}


@dataclass(frozen=True, slots=True)
class FileClaim:
    """A reason of the catalogue for one missed roll call. `student_id` is None if the student files."""

    roll_call_id: UUID
    reason: str
    text: str = ""
    student_id: UUID | None = None
    attachment_ids: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True)
class DecideClaim:
    """The decision of the launching side, with its opinion."""

    claim_id: UUID
    accepted: bool
    opinion: str


async def file_claim(session: AsyncSession, actor: Actor, command: FileClaim, at: datetime) -> ClaimView:
    """File a claim as the student, or for the student as the counselor of the class or a registrar.

    The consumer of `ReasonClaimFiled` recomputes the student (the claim blocks an automatic execution), because the
    student's own scope may write only the claim. Raises `NotFound` if the student was not part of the roll call.
    """
    student_id = await _resolve_student_id(session, actor, command)
    locked = await lock_for_assessment(session, student_id, at)
    facts, assessment = await assess_locked_student(session, locked)
    check = next((fact for fact in facts.checks if fact.check_id == str(command.roll_call_id)), None)
    if check is None or check.notified_at > locked.at:
        raise NotFound
    _require_claimable(check, facts, assessment, locked)
    _require_valid_reason(locked, check, command.reason, command.text)
    row = ReasonClaimRecord(
        id=new_id(),
        roll_call_id=command.roll_call_id,
        school_id=locked.subject.school_id,
        student_id=student_id,
        reason=command.reason,
        text=command.text,
        leave_id=None,
        filed_by=actor.account_id,
        guardian_link_id=actor.guardian_link_id,
        filed_at=locked.at,
    )
    session.add(row)
    await session.flush()
    to = AttachmentSubject("reason_claim", row.id, row.school_id, row.student_id)
    await attach_files(session, actor, command.attachment_ids, to, locked.at)
    await _publish_filed_claim(session, row, locked, actor.guardian_fields)
    return await load_claim(session, actor, row.id)


async def _resolve_student_id(session: AsyncSession, actor: Actor, command: FileClaim) -> UUID:
    if actor.role == "student":
        assert actor.student_id is not None
        return actor.student_id
    assert command.student_id is not None
    await require_student_access(session, actor, command.student_id)
    return command.student_id


def _require_claimable(
    check: RollCallFact, facts: StudentFacts, assessment: Assessment, locked: LockedStudent
) -> None:
    """Require a settled, counted miss of a superior's roll call without a claim and without a decided prompt."""
    if check.launcher == SCHOOL_LAUNCHER:
        raise errors.ClaimOfSchoolCheck
    result = latest_outcome(check, locked.at)
    if check.closes_at > locked.at or result is None:
        raise errors.ClaimTooEarly
    earlier_claims = [claim for claim in facts.claims if claim.check_id == check.check_id]
    if any(claim.leave_id is None or claim.accepted for claim in earlier_claims):
        raise errors.ClaimExists
    statuses = {item.check_id: item.place for term in assessment.terms for item in term.sequence}
    if (
        result is not Outcome.MISSED
        or statuses.get(check.check_id, CheckStatus.MISSED) is not CheckStatus.MISSED
    ):
        raise errors.ClaimOfNoMiss
    prompts = [prompt for prompt in assessment.prompts if check_key(check.check_id) in prompt.evidence]
    if any(prompt.state in _FINAL_STATES for prompt in prompts):
        raise errors.ClaimCaseClosed


def _require_valid_reason(locked: LockedStudent, check: RollCallFact, reason: str, text: str) -> None:
    law = policy_history(locked.subject.path).on(event_day(check))
    objection = find_reason_objection(law, reason, text)
    if objection is not None:
        raise _REASON_OBJECTIONS[objection]


# --- leave that came too late (reading 6) ---


async def file_late_leave_claims(session: AsyncSession, student_id: UUID, at: datetime) -> int:
    """File a claim for each leave that would have exempted the student, had it been approved before the notice.

    Called whenever a leave or a roll call of the student changes; idempotent. The launcher decides these claims too,
    so that a school cannot hide absentees. Returns the number of new claims.
    """
    locked = await lock_for_assessment(session, student_id, at)
    facts = (await load_own_facts(session, [locked.subject]))[student_id]
    late_leaves = [
        (check, leave) for check in facts.checks for leave in _find_late_leaves(check, facts, locked)
    ]
    if not late_leaves:
        return 0
    requests = {
        row.id: row
        for row in await session.scalars(select(LeaveRequest).where(LeaveRequest.student_id == student_id))
    }
    new_claims = 0
    for check, leave in late_leaves:
        request = requests[UUID(leave.leave_id)]
        reason = CLAIM_REASONS.get(LeaveKind(request.kind), "other")
        statement = insert(ReasonClaimRecord).values(
            id=new_id(),
            roll_call_id=UUID(check.check_id),
            school_id=locked.subject.school_id,
            student_id=student_id,
            reason=reason,
            text=LATE_LEAVE_TEXT,
            leave_id=request.id,
            filed_by=request.filed_by,
            filed_at=locked.at,
        )
        row = await session.scalar(statement.on_conflict_do_nothing().returning(ReasonClaimRecord))
        if row is not None:
            new_claims += 1
            await _publish_filed_claim(session, row, locked, {})
    return new_claims


def _find_late_leaves(check: RollCallFact, facts: StudentFacts, locked: LockedStudent) -> list[LeaveInterval]:
    """Leave over the window, not approved at the notice, if all leave together would have exempted the student."""
    window = check.window
    if check.voided_at is not None or window.notified_at > locked.at:
        return []
    law = policy_history(locked.subject.path).on(event_day(check))
    if find_exemption(facts.leaves, window, law.minimum_window, locked.at) is not Exemption.CLAIM:
        return []
    return [
        leave
        for leave in facts.leaves
        if leave.state(locked.at) not in {None, LeaveState.REFUSED, LeaveState.CANCELLED}
        and leave.starts_at < window.closes_at
        and window.opens_at < leave.ends_at
        and (leave.approved_at is None or leave.approved_at > window.notified_at)
    ]


# --- the decision ---


async def decide_claim(session: AsyncSession, actor: Actor, command: DecideClaim, at: datetime) -> ClaimView:
    """Accept or refuse a claim, once. Only the launching side of the roll call or a unit above it decides.

    The student is recomputed in the same transaction: an accepted reason excludes the roll call from the count and
    withdraws a prompt that has lost its basis. Raises `NotFound`, `NotPermitted`, `ClaimDecided`.
    """
    claim = (await load_claim(session, actor, command.claim_id)).claim
    roll_call = await access_roll_call(session, actor, claim.roll_call_id, at)
    if not acts_for_launcher(roll_call, actor):
        raise NotPermitted(
            reason_zh="理由由发起单位或其上级认定",
            reason_en="only the launching unit or its superior decides claims",
        )
    locked = await lock_for_assessment(session, claim.student_id, at)
    facts, assessment = await assess_locked_student(session, locked)
    await save_assessment(session, locked, assessment)
    if any(fact.claim_id == str(claim.id) and fact.decided_at for fact in facts.claims):
        raise errors.ClaimDecided
    decision = ClaimDecision(
        claim_id=claim.id,
        school_id=claim.school_id,
        student_id=claim.student_id,
        accepted=command.accepted,
        opinion=command.opinion,
        filed_by=claim.filed_by,
        decided_by=actor.account_id,
        at=locked.at,
    )
    session.add(decision)
    await session.flush()
    _audit(session, locked, claim.id, "reason_claim.decided", {"accepted": command.accepted})
    await recompute_locked(session, locked)
    await outbox.emit(session, ReasonClaimDecided(**_event_fields(claim, locked)), locked.at)
    return await load_claim(session, actor, claim.id)


async def _publish_filed_claim(
    session: AsyncSession, row: ReasonClaimRecord, locked: LockedStudent, guardian: Mapping[str, str]
) -> None:
    """Audit the claim and emit its event. Neither holds the reason, which may be about health."""
    after = {"roll_call_id": str(row.roll_call_id), "leave_id": str(row.leave_id or ""), **guardian}
    _audit(session, locked, row.id, "reason_claim.filed", after)
    await outbox.emit(session, ReasonClaimFiled(**_event_fields(row, locked)), locked.at)


def _event_fields(claim: ReasonClaimRecord, locked: LockedStudent) -> dict[str, Any]:
    return {**locked.event_fields, "claim_id": claim.id}


def _audit(
    session: AsyncSession, locked: LockedStudent, claim_id: UUID, action: str, after: dict[str, Any]
) -> None:
    act = audit.Act(action, "reason_claim", str(claim_id), locked.subject.path, after=after)
    audit.record(session, act, locked.at)

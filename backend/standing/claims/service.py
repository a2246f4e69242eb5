"""Claims that a miss had a justified reason: filed by whoever is concerned, judged by the launching side.

Readings 6 and 10: the catalogue is the law's; leave that came too late is such a claim; the school that is checked
never judges its own absentees.
"""

from collections.abc import Sequence
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
from backend.leave.rules import Exemption, LeaveInterval, LeaveState, exempts
from backend.leave.tables import LeaveRequest
from backend.people.attachments import AttachedTo, attach
from backend.roll_call.oversight import access_roll_call, on_launching_side
from backend.roll_call.rules import Outcome
from backend.standing.access import require_student_access
from backend.standing.claims import errors
from backend.standing.claims.queries import ClaimView, claim_for
from backend.standing.engine.assess import Assessment
from backend.standing.engine.facts import RollCallFact, StudentFacts, check_key
from backend.standing.engine.misses import CheckStatus, event_day, reason_objection, result_at
from backend.standing.engine.prompts import PromptState
from backend.standing.store.load import load_facts
from backend.standing.store.lock import LockedStudent, load_facts_and_assess, lock_and_assess, policy_history
from backend.standing.store.save import save_assessment, save_current
from backend.standing.store.tables import ClaimDecision, ReasonClaimRecord

SCHOOL = "school"
LATE_LEAVE = "通知发出后才申请或批准的请假"
_REASON_OF_LEAVE = {"sick": "illness"}
"""What leave says in words of the catalogue; any other kind is 其他 with a text."""
_REASON_OBJECTIONS: dict[str, type[DomainError]] = {
    "reason_not_in_catalogue": errors.ClaimReasonUnknown,
    "reason_needs_text": errors.ClaimReasonNeedsText,
}
_CLOSED = {PromptState.DECIDED, PromptState.EXECUTED}


@dataclass(frozen=True, slots=True)
class FileClaim:
    """A reason of the catalogue against one missed check; `student_id` is None for the acting student."""

    roll_call_id: UUID
    reason: str
    text: str = ""
    student_id: UUID | None = None
    attachment_ids: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True)
class DecideClaim:
    """The launching side's answer, with its opinion."""

    claim_id: UUID
    accepted: bool
    opinion: str


async def file_claim(session: AsyncSession, actor: Actor, command: FileClaim, at: datetime) -> ClaimView:
    """File a claim: a student for themselves, the counselor of the class or a registrar on the student's behalf.

    What follows from it (an automatic execution waits) is kept by the consumer of `ReasonClaimFiled`, since a
    student's own scope writes nothing but the claim. Raises `NotFound` for a check that the student did not owe.
    """
    student_id = await _claimant(session, actor, command)
    held = await lock_and_assess(session, student_id, at)
    facts, assessment = await load_facts_and_assess(session, held)
    check = next((each for each in facts.checks if each.check_id == str(command.roll_call_id)), None)
    if check is None or check.notified_at > held.at:
        raise NotFound
    _must_be_claimable(check, facts, assessment, held)
    _must_be_a_reason(held, check, command.reason, command.text)
    row = ReasonClaimRecord(
        id=new_id(),
        roll_call_id=command.roll_call_id,
        school_id=held.subject.school_id,
        student_id=student_id,
        reason=command.reason,
        text=command.text,
        leave_id=None,
        filed_by=actor.account_id,
        filed_at=held.at,
    )
    session.add(row)
    await session.flush()
    to = AttachedTo("reason_claim", row.id, row.school_id, row.student_id)
    await attach(session, actor, command.attachment_ids, to, held.at)
    await _tell_filed(session, row, held)
    return await claim_for(session, actor, row.id)


async def _claimant(session: AsyncSession, actor: Actor, command: FileClaim) -> UUID:
    if actor.role == "student":
        assert actor.student_id is not None
        return actor.student_id
    assert command.student_id is not None
    await require_student_access(session, actor, command.student_id)
    return command.student_id


def _must_be_claimable(
    check: RollCallFact, facts: StudentFacts, assessment: Assessment, held: LockedStudent
) -> None:
    """A settled miss of a superior's check about which nothing has been decided."""
    if check.launcher == SCHOOL:
        raise errors.ClaimOfSchoolCheck
    found = result_at(check, held.at)
    if check.closes_at > held.at or found is None:
        raise errors.ClaimTooEarly
    against = [claim for claim in facts.claims if claim.check_id == check.check_id]
    if any(claim.leave_id is None or claim.accepted for claim in against):
        raise errors.ClaimExists
    places = {each.check_id: each.place for term in assessment.terms for each in term.sequence}
    if (
        found is not Outcome.MISSED
        or places.get(check.check_id, CheckStatus.MISSED) is not CheckStatus.MISSED
    ):
        raise errors.ClaimOfNoMiss
    resting = [prompt for prompt in assessment.prompts if check_key(check.check_id) in prompt.evidence]
    if any(prompt.state in _CLOSED for prompt in resting):
        raise errors.ClaimCaseClosed


def _must_be_a_reason(held: LockedStudent, check: RollCallFact, reason: str, text: str) -> None:
    law = policy_history(held.subject.path).on(event_day(check))
    objection = reason_objection(law, reason, text)
    if objection is not None:
        raise _REASON_OBJECTIONS[objection]


# --- leave that came too late (reading 6) ---


async def claim_late_leave(session: AsyncSession, student_id: UUID, at: datetime) -> int:
    """File a claim for each leave that would have exempted from a known check, had it stood at the notice.

    Run whenever leave or a roll call of the student changed; running it again files nothing twice. Whoever launched
    the check judges, so that a school cannot hide absentees. Returns how many claims are new.
    """
    held = await lock_and_assess(session, student_id, at)
    facts = (await load_facts(session, [held.subject]))[student_id]
    late = [(check, leave) for check in facts.checks for leave in _late_leaves(check, facts, held)]
    if not late:
        return 0
    filed = {
        row.id: row
        for row in await session.scalars(select(LeaveRequest).where(LeaveRequest.student_id == student_id))
    }
    new = 0
    for check, leave in late:
        request = filed[UUID(leave.leave_id)]
        reason = _REASON_OF_LEAVE.get(request.kind, "other")
        put = insert(ReasonClaimRecord).values(
            id=new_id(),
            roll_call_id=UUID(check.check_id),
            school_id=held.subject.school_id,
            student_id=student_id,
            reason=reason,
            text=LATE_LEAVE,
            leave_id=request.id,
            filed_by=request.filed_by,
            filed_at=held.at,
        )
        row = await session.scalar(put.on_conflict_do_nothing().returning(ReasonClaimRecord))
        if row is not None:
            new += 1
            await _tell_filed(session, row, held)
    return new


def _late_leaves(check: RollCallFact, facts: StudentFacts, held: LockedStudent) -> list[LeaveInterval]:
    """Live leave over the window that did not stand at the notice, where together it would have exempted."""
    window = check.window
    if check.voided_at is not None or window.notified_at > held.at:
        return []
    law = policy_history(held.subject.path).on(event_day(check))
    if exempts(facts.leaves, window, law.minimum_window, held.at) is not Exemption.CLAIM:
        return []
    return [
        leave
        for leave in facts.leaves
        if leave.state(held.at) not in {None, LeaveState.REFUSED, LeaveState.CANCELLED}
        and leave.starts_at < window.closes_at
        and window.opens_at < leave.ends_at
        and (leave.approved_at is None or leave.approved_at > window.notified_at)
    ]


# --- the answer ---


async def decide_claim(session: AsyncSession, actor: Actor, command: DecideClaim, at: datetime) -> ClaimView:
    """Accept or refuse, once, by the launching side of the check or a unit above it; whoever filed it is of the school.

    The consequences are kept at once: an accepted reason takes the check out of the count, and withdraws a prompt
    that has lost its basis. Raises `NotFound`, `NotPermitted`, `ClaimDecided`.
    """
    claim = (await claim_for(session, actor, command.claim_id)).claim
    roll_call = await access_roll_call(session, actor, claim.roll_call_id, at)
    if not on_launching_side(roll_call, actor):
        raise NotPermitted(
            reason_zh="理由由发起单位或其上级认定",
            reason_en="claims are judged by the launcher or its superior",
        )
    held = await lock_and_assess(session, claim.student_id, at)
    facts, assessment = await load_facts_and_assess(session, held)
    await save_assessment(session, held, assessment)
    if any(each.claim_id == str(claim.id) and each.decided_at for each in facts.claims):
        raise errors.ClaimDecided
    decision = ClaimDecision(
        claim_id=claim.id,
        school_id=claim.school_id,
        student_id=claim.student_id,
        accepted=command.accepted,
        opinion=command.opinion,
        filed_by=claim.filed_by,
        decided_by=actor.account_id,
        at=held.at,
    )
    session.add(decision)
    await session.flush()
    _trace(session, held, claim.id, "reason_claim.decided", {"accepted": command.accepted})
    await save_current(session, held)
    await outbox.emit(session, "ReasonClaimDecided", _payload(claim, held), held.at)
    return await claim_for(session, actor, claim.id)


async def _tell_filed(session: AsyncSession, row: ReasonClaimRecord, held: LockedStudent) -> None:
    """Into the audit without the reason, which may tell of somebody's health; and to whoever keeps what follows."""
    facts = {"roll_call_id": str(row.roll_call_id), "leave_id": str(row.leave_id or "")}
    _trace(session, held, row.id, "reason_claim.filed", facts)
    await outbox.emit(session, "ReasonClaimFiled", _payload(row, held), held.at)


def _payload(claim: ReasonClaimRecord, held: LockedStudent) -> dict[str, str]:
    ids = {"claim_id": claim.id, "student_id": claim.student_id, "school_id": claim.school_id}
    return {name: str(value) for name, value in ids.items()} | {"path": held.subject.path}


def _trace(
    session: AsyncSession, held: LockedStudent, claim_id: UUID, action: str, after: dict[str, Any]
) -> None:
    act = audit.Act(action, "reason_claim", str(claim_id), held.subject.path, after=after)
    audit.record(session, act, held.at)

"""Answers to requests: the outcome that follows, the quota that a school uses up, and the sample that is reviewed.

An answer never makes a student missed. Locks: the answering account, the class whose quota is counted, the obligation,
the roll call, as for attestations.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.keys import KeyRing
from backend.roll_call.attestation.limits import (
    find_class_quota_objection,
    is_sampled,
    lock_attester,
    lock_class_quota,
    require_attester_quota,
)
from backend.roll_call.eligibility import StudentCheck, record_refusal
from backend.roll_call.errors import AttestationQuotaExhausted, LookNotConfirmed
from backend.roll_call.looks.closing import close_request
from backend.roll_call.looks.pictures import require_pictures_seen
from backend.roll_call.looks.queries import access_look, require_open
from backend.roll_call.looks.requests import ask_launcher, request_review
from backend.roll_call.looks.rules import LOOK_METHOD, Effect, Same, Side, decide_answer, decide_review
from backend.roll_call.outcomes import (
    OutcomeDecision,
    find_current_outcome,
    lock_obligation,
    lock_roll_call_shared,
    write_outcome,
)
from backend.roll_call.policy import check_in_limits, roll_call_policy
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import LookAnswer, LookRequest, Obligation, RollCall


@dataclass(frozen=True, slots=True)
class AnswerLook:
    """Command: whether the pictures show the student of the ID portrait."""

    request_id: UUID
    same: Same
    note: str


async def answer_look(
    session: AsyncSession, actor: Actor, command: AnswerLook, at: datetime, keys: KeyRing
) -> LookAnswer | AttestationQuotaExhausted:
    """Record the one answer to an open request, with its effect on the result.

    If the class has no attestations left, the request goes to the launching side; the error is returned, not raised, so
    that the caller commits this and then refuses.
    """
    request, roll_call = await access_look(session, actor, command.request_id)
    obligation = await session.get_one(Obligation, (roll_call.id, request.student_id))
    makes_present = command.same is Same.YES and request.reviews is None
    counted = makes_present and request.side == Side.SCHOOL
    if counted:
        await lock_attester(session, actor)
        await lock_class_quota(session, roll_call, request.class_id)
    await lock_obligation(session, roll_call.id, request.student_id)
    await lock_roll_call_shared(session, roll_call.id)
    await require_open(session, actor, request, at)
    await require_pictures_seen(session, actor, request)
    if counted:
        exhausted = await find_class_quota_objection(session, roll_call, obligation)
        if exhausted is not None:
            await close_request(session, request, "quota", at)
            await ask_launcher(session, roll_call, request, at)
            return exhausted
        await require_attester_quota(session, actor, roll_call)
    answer = _record(
        session,
        actor,
        request,
        command,
        at,
        sampled=counted and is_sampled(roll_call, request.student_id, keys),
    )
    await session.flush()
    await _apply(session, roll_call, obligation, request, answer, at)
    return answer


def _record(
    session: AsyncSession,
    actor: Actor,
    request: LookRequest,
    command: AnswerLook,
    at: datetime,
    *,
    sampled: bool,
) -> LookAnswer:
    counted = command.same is Same.YES and request.side == Side.SCHOOL and request.reviews is None
    answer = LookAnswer(
        request_id=request.id,
        roll_call_id=request.roll_call_id,
        school_id=request.school_id,
        term_code=request.term_code,
        class_id=request.class_id,
        student_id=request.student_id,
        same=command.same.value,
        note=command.note,
        answered_by=actor.account_id,
        counted=counted,
        sampled=sampled,
        at=at,
    )
    session.add(answer)
    after = {"request": str(request.id), "same": command.same.value}
    subject = f"{request.roll_call_id}/{request.student_id}"
    audit.record(session, audit.Act("look.answer", "outcome", subject, actor.org_path, after=after), at)
    return answer


async def _apply(
    session: AsyncSession,
    roll_call: RollCall,
    obligation: Obligation,
    request: LookRequest,
    answer: LookAnswer,
    at: datetime,
) -> None:
    same = Same(answer.same)
    effect = decide_answer(Side(request.side), same) if request.reviews is None else decide_review(same)
    if effect.outcome is not None:
        await _write(session, roll_call, obligation, request, effect, at)
    elif effect.ask_launcher:
        await ask_launcher(session, roll_call, request, at)
    elif same is not Same.YES and request.reviews is None and at <= roll_call.deadline:
        check = StudentCheck(roll_call, obligation, check_in_limits(roll_call_policy(roll_call)))
        await record_refusal(session, check, LOOK_METHOD, LookNotConfirmed(), at)
    if answer.sampled:
        await request_review(session, roll_call, request, at)


async def _write(
    session: AsyncSession,
    roll_call: RollCall,
    obligation: Obligation,
    request: LookRequest,
    effect: Effect,
    at: datetime,
) -> None:
    """Replace the current outcome, which `require_open` has found replaceable under the lock of the obligation."""
    assert effect.outcome is not None
    trace = {
        "request": str(request.id),
        "side": request.side,
        "asked": request.reason,
        "frames": request.shown_frames,
        "portrait": str(request.portrait_id),
    }
    present = effect.outcome is Outcome.PRESENT
    decision = OutcomeDecision(
        effect.outcome,
        effect.reason,
        LOOK_METHOD if present else "review",
        trace,
        request.submission_id if present else None,
    )
    earlier = await find_current_outcome(session, roll_call.id, request.student_id)
    await write_outcome(session, roll_call, obligation, decision, at, replaces=earlier)

"""Settlement of a roll call: after the close every open obligation gets its one outcome (HN334-3.4)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.errors import NotFound
from backend.core.jobs import enqueue
from backend.leave.queries import ExemptionCriteria, select_students_on_leave
from backend.leave.rules import NoticedWindow
from backend.roll_call.events import RollCallSettled
from backend.roll_call.launch.audience import ON_LEAVE
from backend.roll_call.looks.settlement_requests import request_looks_at_settlement
from backend.roll_call.outcomes import (
    OutcomeDecision,
    fill_open_outcomes,
    lock_roll_call_exclusive,
    select_open_obligations,
    write_first_outcomes,
)
from backend.roll_call.policy import roll_call_policy
from backend.roll_call.progress.counters import sum_counters
from backend.roll_call.progress.tasks import compare_counters
from backend.roll_call.rules import UNATTENDED, Outcome, settle_without_submission, was_notified_in_time
from backend.roll_call.settlement.attempts import (
    SETTLEMENT_METHOD,
    decide_from_attempts,
    in_roll_call,
    is_referral,
    load_attempts,
    load_referred_students,
)
from backend.roll_call.settlement.open_obligations import (
    OPEN_OBLIGATIONS,
    create_open_obligations,
    open_obligations_where,
)
from backend.roll_call.tables import (
    Obligation,
    Refusal,
    RollCall,
    RollCallClass,
    RollCallStep,
    Submission,
    VerdictRecord,
    VerificationTask,
)
from backend.roll_call.verification.queue import enqueue_verification

BATCH_STUDENTS = 500
"""Students whose attempts are loaded and decided together."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """The sums at the close, or the number of in-time submissions that the settlement waits for (then no sums)."""

    figures: dict[str, int]
    waiting_for: int = 0


async def settle_roll_call(session: AsyncSession, roll_call_id: UUID, at: datetime) -> Settlement:
    """Settle a roll call whose window has closed. Has no effect on a settled or voided one.

    The settlement waits while in-time submissions have no verdict and their frames may still arrive (invariant 5).
    Submissions whose frames are overdue are sent to verification, which records what is missing. After
    `frames_until` plus the same grace period again, submissions without a verdict become undetermined, so that a
    broken worker cannot delay everyone.
    """
    await lock_roll_call_exclusive(session, roll_call_id)
    roll_call = await session.get(RollCall, roll_call_id, populate_existing=True)
    if roll_call is None:
        raise NotFound
    if await session.get(RollCallStep, (roll_call_id, "voided")) is not None:
        return Settlement({})
    settled = await session.get(RollCallStep, (roll_call_id, "settled"))
    if settled is not None:
        return Settlement(settled.figures or {})
    if at <= roll_call.deadline:
        return Settlement({}, waiting_for=1)
    if at <= roll_call.frames_deadline and (queued := await _count_queued(session, roll_call)):
        return Settlement({}, waiting_for=queued)  # a cheap check: it runs every two seconds
    await create_open_obligations(session, roll_call)
    if pending := await _count_pending(session, roll_call, at):
        return Settlement({}, waiting_for=pending)
    await _settle_attempts(session, roll_call, at)
    await request_looks_at_settlement(session, roll_call, at)
    await _settle_unattended(session, roll_call, at)
    await _settle_without_attempts(session, roll_call, at)
    return await _record_settlement(session, roll_call, at)


async def _count_queued(session: AsyncSession, roll_call: RollCall) -> int:
    """Submissions that are waiting for verification or being verified."""
    queued = select(func.count()).where(
        VerificationTask.roll_call_id == roll_call.id, VerificationTask.state != "dead"
    )
    return await session.scalar(queued) or 0


async def _count_pending(session: AsyncSession, roll_call: RollCall, at: datetime) -> int:
    """Submissions without a verdict that the settlement still waits for; enqueues those with overdue frames."""
    wait_until = roll_call.frames_deadline + (roll_call.frames_until - roll_call.closes_at)
    if at > wait_until:
        return 0
    without_verdict = _is_without_verdict(roll_call)
    pending = await session.scalar(select(func.count(Submission.id)).where(without_verdict))
    if pending:
        await enqueue_verification(session, and_(without_verdict, Submission.frames_due_at < at), at)
    return pending or 0


def _is_without_verdict(roll_call: RollCall) -> ColumnElement[bool]:
    """Condition for `submission` rows: no verdict yet, and the student has no outcome yet."""
    has_verdict = exists().where(
        VerdictRecord.term_code == roll_call.term_code, VerdictRecord.submission_id == Submission.id
    )
    is_open = Submission.student_id.in_(select(OPEN_OBLIGATIONS.c.student_id))
    return and_(*in_roll_call(Submission, roll_call), is_open, ~has_verdict)


async def _settle_attempts(session: AsyncSession, roll_call: RollCall, at: datetime) -> None:
    """Decide for students with submissions, from all their attempts, in batches."""
    with_submissions = select(OPEN_OBLIGATIONS.c.student_id).where(
        exists().where(
            *in_roll_call(Submission, roll_call), Submission.student_id == OPEN_OBLIGATIONS.c.student_id
        )
    )
    stream = await session.stream_scalars(with_submissions.execution_options(yield_per=BATCH_STUDENTS))
    async for ids in stream.partitions(BATCH_STUDENTS):
        obligations = select_open_obligations(roll_call).where(
            Obligation.duty == "owed", Obligation.student_id.in_(ids)
        )
        attempts = await load_attempts(session, roll_call, ids)
        referred = await load_referred_students(session, roll_call, ids)
        decisions = [
            (
                obligation,
                decide_from_attempts(
                    attempts[obligation.student_id], sent_to_a_person=obligation.student_id in referred
                ),
            )
            for obligation in await session.scalars(obligations)
        ]
        if decisions:
            await write_first_outcomes(session, roll_call, decisions, at)
            await session.flush()


async def _settle_unattended(session: AsyncSession, roll_call: RollCall, at: datetime) -> None:
    """Students who were sent to the counselor and not attested become undetermined.

    The counselor may have had no time or no quota left, and the non-face route carries no penalty, so a person decides.
    """
    referred = OPEN_OBLIGATIONS.c.student_id.in_(select(Refusal.student_id).where(is_referral(roll_call)))
    decision = OutcomeDecision(Outcome.UNDETERMINED, UNATTENDED, SETTLEMENT_METHOD)
    await fill_open_outcomes(session, roll_call, decision, at, among=open_obligations_where(referred))


async def _settle_without_attempts(session: AsyncSession, roll_call: RollCall, at: datetime) -> None:
    """All other students: excused if on leave at the launch or at the notice, missed if notified in time.

    For leave the law's limit is the notice (reading 6), and a launch may come days before it. The obligation as frozen
    at the launch is not changed (invariant 10); only the outcome says that leave excused.
    """
    announced = await session.get(RollCallStep, (roll_call.id, "announced"))
    minimum = roll_call_policy(roll_call).duration("roll_call.window.minimum")
    if announced is not None:
        window = NoticedWindow(announced.at, roll_call.opens_at, roll_call.deadline)
        is_on_leave = OPEN_OBLIGATIONS.c.student_id.in_(
            select_students_on_leave(ExemptionCriteria(window, minimum, as_of=announced.at))
        )
        excused = OutcomeDecision(Outcome.EXCUSED, ON_LEAVE, SETTLEMENT_METHOD)
        await fill_open_outcomes(session, roll_call, excused, at, among=open_obligations_where(is_on_leave))
    in_time = was_notified_in_time(
        None if announced is None else announced.at,
        (roll_call.opens_at, roll_call.deadline),
        minimum=minimum,
        grace=roll_call.frames_until - roll_call.closes_at,
    )
    result = settle_without_submission(announced=in_time)
    decision = OutcomeDecision(result.outcome, result.reason, SETTLEMENT_METHOD)
    await fill_open_outcomes(session, roll_call, decision, at, among=OPEN_OBLIGATIONS)


async def _record_settlement(session: AsyncSession, roll_call: RollCall, at: datetime) -> Settlement:
    """Record the step with its sums. Raises if the outcomes do not add up to the obligations."""
    sums = await sum_counters(session, roll_call.id)
    obligations = await session.scalar(
        select(func.coalesce(func.sum(RollCallClass.owed + RollCallClass.excused), 0)).where(
            RollCallClass.term_code == roll_call.term_code, RollCallClass.roll_call_id == roll_call.id
        )
    )
    figures = {"obligations": int(obligations or 0), **sums}
    if sum(sums.values()) != figures["obligations"]:
        msg = f"settlement of {roll_call.id} does not balance: {figures}"
        raise RuntimeError(msg)
    session.add(
        RollCallStep(
            roll_call_id=roll_call.id,
            step="settled",
            acting_account=None,
            reason=None,
            figures=figures,
            at=at,
        )
    )
    act = audit.Act(
        "roll_call.settle", "roll_call", str(roll_call.id), roll_call.launcher_path, after=figures
    )
    audit.record(session, act, at)
    event = RollCallSettled(roll_call_id=roll_call.id, path=roll_call.launcher_path)
    await outbox.emit(session, event, at)
    await enqueue(session, compare_counters, **event.payload())
    return Settlement(figures)

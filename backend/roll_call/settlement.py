"""The close: what is still open gets its one outcome, and the roll call is settled (HN334-3.4)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, case, exists, func, literal, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.errors import NotFound
from backend.core.jobs import enqueue_unless_waiting
from backend.roll_call.outcomes import Decided, counts, write_outcome
from backend.roll_call.rules import Attempt, Finding, Outcome, settle
from backend.roll_call.tables import (
    Obligation,
    OutcomeEntry,
    RollCall,
    RollCallClass,
    RollCallStep,
    Submission,
    Verdict,
)
from backend.roll_call.verification import verify_submission

_SETTLER = "settlement"


@dataclass(frozen=True, slots=True)
class Settlement:
    """The sums at the close; `waiting_for` names how many in-time submissions still hold it up (then no sums)."""

    figures: dict[str, int]
    waiting_for: int = 0


async def settle_roll_call(session: AsyncSession, roll_call_id: UUID, at: datetime) -> Settlement:
    """Settle a roll call whose window has closed; running it again changes nothing.

    While in-time submissions are unjudged and their frames may still come, it waits (invariant 5). Those whose
    frames are overdue are sent to verification, which will find what is missing. After `frames_until` plus the
    same grace again, what is still unjudged is undetermined: a broken worker must not keep everyone waiting.
    """
    roll_call = await session.get(RollCall, roll_call_id)
    if roll_call is None:
        raise NotFound
    lock = func.pg_advisory_xact_lock(func.hashtextextended(f"settle/{roll_call_id}", 0))
    await session.execute(select(lock))
    done = await session.get(RollCallStep, (roll_call_id, "settled"))
    if done is not None:
        return Settlement(done.figures or {})
    if at <= roll_call.closes_at:
        return Settlement({}, waiting_for=1)
    unjudged = await _unjudged(session, roll_call_id)
    if unjudged:
        patience = roll_call.frames_until + (roll_call.frames_until - roll_call.closes_at)
        for submission in unjudged:
            if submission.frames_due_at < at <= patience:
                arguments = {"submission_id": str(submission.id), "school_id": str(submission.school_id)}
                await enqueue_unless_waiting(
                    session, verify_submission, f"verify/{submission.id}", **arguments
                )
        if at <= patience:
            return Settlement({}, waiting_for=len(unjudged))
    await _settle_attempted(session, roll_call, at)
    await _settle_silent(session, roll_call, at)
    return await _close(session, roll_call, at)


async def _unjudged(session: AsyncSession, roll_call_id: UUID) -> list[Submission]:
    judged = exists().where(Verdict.submission_id == Submission.id)
    found = await session.scalars(select(Submission).where(Submission.roll_call_id == roll_call_id, ~judged))
    return list(found)


def _without_outcome(roll_call_id: UUID) -> Select[Obligation]:
    decided = exists().where(
        OutcomeEntry.roll_call_id == Obligation.roll_call_id, OutcomeEntry.student_id == Obligation.student_id
    )
    return select(Obligation).where(Obligation.roll_call_id == roll_call_id, ~decided)


async def _settle_attempted(session: AsyncSession, roll_call: RollCall, at: datetime) -> None:
    """Those who submitted something: each judged by the rule on all of their attempts."""
    attempted = exists().where(
        Submission.roll_call_id == Obligation.roll_call_id, Submission.student_id == Obligation.student_id
    )
    open_ones = await session.scalars(
        _without_outcome(roll_call.id).where(Obligation.duty == "owed", attempted)
    )
    for obligation in open_ones.all():
        rows = await session.execute(
            select(Verdict.finding, Verdict.reasons)
            .select_from(Submission)
            .outerjoin(Verdict, Verdict.submission_id == Submission.id)
            .where(Submission.roll_call_id == roll_call.id, Submission.student_id == obligation.student_id)
            .order_by(Submission.received_at)
        )
        attempts = [
            Attempt(Finding(finding) if finding else None, tuple(reasons or ())) for finding, reasons in rows
        ]
        result = settle(attempts)
        trace = {"attempts": [[attempt.finding, list(attempt.reasons)] for attempt in attempts]}
        await write_outcome(
            session, roll_call, obligation, Decided(result.outcome, result.reason, _SETTLER, trace), at
        )


async def _settle_silent(session: AsyncSession, roll_call: RollCall, at: datetime) -> None:
    """Everyone else in one statement: excused where the duty was excused at launch, else missed.

    This is the other half of `write_outcome`, for rows that need no judgement one by one; the audit entry of
    the settlement stands for all of them.
    """
    silent = settle(())
    open_ones = _without_outcome(roll_call.id).where(Obligation.duty != "exempt").subquery()
    excused = open_ones.c.duty == "excused"
    rows = select(
        open_ones.c.roll_call_id,
        open_ones.c.student_id,
        literal(1),
        open_ones.c.school_id,
        open_ones.c.class_id,
        case((excused, literal(Outcome.EXCUSED.value)), else_=literal(silent.outcome.value)),
        case((excused, open_ones.c.reason), else_=literal(silent.reason)),
        literal(_SETTLER),
        literal(roll_call.policy_version),
        text("'{}'::jsonb"),
        literal(at),
    )
    columns = (
        "roll_call_id",
        "student_id",
        "seq",
        "school_id",
        "class_id",
        "outcome",
        "reason",
        "method",
        "policy_version",
        "trace",
        "at",
    )
    await session.execute(insert(OutcomeEntry).from_select(columns, rows).on_conflict_do_nothing())


async def _close(session: AsyncSession, roll_call: RollCall, at: datetime) -> Settlement:
    sums = dict.fromkeys((outcome.value for outcome in Outcome), 0)
    for (_, outcome), count in (await counts(session, roll_call.id)).items():
        sums[outcome] += count
    obligations = await session.scalar(
        select(func.coalesce(func.sum(RollCallClass.owed + RollCallClass.excused), 0)).where(
            RollCallClass.roll_call_id == roll_call.id
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
    payload = {"roll_call_id": str(roll_call.id), "path": roll_call.launcher_path}
    await outbox.emit(session, "RollCallSettled", payload, at)
    return Settlement(figures)

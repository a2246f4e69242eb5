"""The close: what is still open gets its one outcome, and the roll call is settled (HN334-3.4)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from procrastinate import JobContext, RetryStrategy
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    String,
    Uuid,
    and_,
    column,
    exists,
    func,
    select,
    table,
    text,
)
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.app_context import AppContext
from backend.core.errors import NotFound
from backend.core.jobs import DEFAULT, Priority, enqueue, job_app
from backend.core.tenancy import Scope
from backend.leave.queries import Reach, on_leave
from backend.leave.rules import NoticedWindow
from backend.roll_call.errors import SENT_TO_A_PERSON
from backend.roll_call.launch.audience import ON_LEAVE
from backend.roll_call.outcomes import (
    Decided,
    lock_obligation,
    lock_roll_call_exclusive,
    lock_roll_call_shared,
    outcome_of,
    supersedable,
    without_outcome,
    write_each_first,
    write_first_outcomes,
    write_outcome,
)
from backend.roll_call.policy import law_of
from backend.roll_call.progress.counters import miscounts, sums_of
from backend.roll_call.rules import (
    UNATTENDED,
    Attempt,
    Finding,
    Outcome,
    settle,
    settle_silence,
    told_in_time,
)
from backend.roll_call.tables import (
    Obligation,
    Refusal,
    RollCall,
    RollCallClass,
    RollCallStep,
    Submission,
    Verdict,
    VerificationTask,
)
from backend.roll_call.verification.queue import enqueue_verification

_SETTLER = "settlement"
AT_ONCE = 500
"""Students whose attempts are judged with one round of statements."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """The sums at the close; `waiting_for` names how many in-time submissions still hold it up (then no sums)."""

    figures: dict[str, int]
    waiting_for: int = 0


async def settle_roll_call(session: AsyncSession, roll_call_id: UUID, at: datetime) -> Settlement:
    """Settle a roll call whose window has closed; running it again, or on a voided one, changes nothing.

    While in-time submissions are unjudged and their frames may still come, it waits (invariant 5). Those whose
    frames are overdue are sent to verification, which will find what is missing. After `frames_until` plus the
    same grace again, what is still unjudged is undetermined: a broken worker must not keep everyone waiting.
    """
    await lock_roll_call_exclusive(session, roll_call_id)
    roll_call = await session.get(RollCall, roll_call_id, populate_existing=True)
    if roll_call is None:
        raise NotFound
    if await session.get(RollCallStep, (roll_call_id, "voided")) is not None:
        return Settlement({})
    done = await session.get(RollCallStep, (roll_call_id, "settled"))
    if done is not None:
        return Settlement(done.figures or {})
    if at <= roll_call.deadline:
        return Settlement({}, waiting_for=1)
    if at <= roll_call.frames_deadline and (queued := await _queued(session, roll_call)):
        return Settlement({}, waiting_for=queued)  # at every beat meanwhile, and cheap
    await _gather_open(session, roll_call)
    max_wait = roll_call.frames_deadline + (roll_call.frames_until - roll_call.closes_at)
    if at <= max_wait:
        unjudged = await session.scalar(select(func.count(Submission.id)).where(_unjudged(roll_call)))
        if unjudged:
            overdue = and_(_unjudged(roll_call), Submission.frames_due_at < at)
            await enqueue_verification(session, overdue, at)
            return Settlement({}, waiting_for=unjudged)
    await _settle_attempted(session, roll_call, at)
    await _settle_unattended(session, roll_call, at)
    await _settle_silent(session, roll_call, at)
    return await _close(session, roll_call, at)


async def _queued(session: AsyncSession, roll_call: RollCall) -> int:
    """How many submissions verification is still at."""
    queued = select(func.count()).where(
        VerificationTask.roll_call_id == roll_call.id, VerificationTask.state != "dead"
    )
    return await session.scalar(queued) or 0


_OPEN = table(
    "still_open",
    column("student_id", Uuid()),
    column("school_id", Uuid()),
    column("class_id", Uuid()),
    column("duty", String()),
    column("reason", String()),
)
_GATHER = (
    "DROP TABLE IF EXISTS pg_temp.still_open",
    (
        "CREATE TEMPORARY TABLE still_open ON COMMIT DROP AS"
        " SELECT * FROM definer.open_obligations(CAST(:roll_call_id AS uuid))"
    ),
    "ANALYZE still_open",
)


async def _gather_open(session: AsyncSession, roll_call: RollCall) -> None:
    """Look once for everyone who owes presence and has no outcome; `_OPEN` holds them until the commit.

    They are the few. To look for them among a million in every step would be most of the settlement, so whoever gets
    an outcome meanwhile stays listed: a first entry for one who has one changes nothing.
    """
    for statement in _GATHER:
        await session.execute(text(statement), {"roll_call_id": roll_call.id})


def _open_among(condition: ColumnElement[bool]) -> FromClause:
    return select(_OPEN).where(condition).subquery()


def _unjudged(roll_call: RollCall) -> ColumnElement[bool]:
    """Of `submission` rows: without a verdict, of students who have no outcome yet."""
    judged = exists().where(Verdict.term_code == roll_call.term_code, Verdict.submission_id == Submission.id)
    is_open = Submission.student_id.in_(select(_OPEN.c.student_id))
    return and_(*_of(Submission, roll_call), is_open, ~judged)


def _of(table: type[Submission | Refusal], roll_call: RollCall) -> Sequence[ColumnElement[bool]]:
    """The rows of a roll call, in the partition of its term."""
    return (table.term_code == roll_call.term_code, table.roll_call_id == roll_call.id)


async def _settle_attempted(session: AsyncSession, roll_call: RollCall, at: datetime) -> None:
    """Those who submitted something: each judged by the rule on all of their attempts, some hundred at once."""
    tried = select(_OPEN.c.student_id).where(
        exists().where(*_of(Submission, roll_call), Submission.student_id == _OPEN.c.student_id)
    )
    stream = await session.stream_scalars(tried.execution_options(yield_per=AT_ONCE))
    async for ids in stream.partitions(AT_ONCE):
        owed = without_outcome(roll_call).where(Obligation.duty == "owed", Obligation.student_id.in_(ids))
        sent = await _attempts(session, _sent(roll_call).where(Submission.student_id.in_(ids)))
        asked = select(Refusal.student_id).where(_to_a_person(roll_call), Refusal.student_id.in_(ids))
        told = set(await session.scalars(asked))
        judged = [
            (each, _decided(sent[each.student_id], sent_to_a_person=each.student_id in told))
            for each in await session.scalars(owed)
        ]
        if judged:
            await write_each_first(session, roll_call, judged, at)
            await session.flush()


def _to_a_person(roll_call: RollCall) -> ColumnElement[bool]:
    """Of `refusal` rows: those that sent their student to the counselor."""
    return and_(*_of(Refusal, roll_call), Refusal.code.in_(SENT_TO_A_PERSON))


def _sent(roll_call: RollCall) -> Select[UUID, str | None, list[Any] | None]:
    """Submissions of a roll call with their verdicts, oldest first."""
    return (
        select(Submission.student_id, Verdict.finding, Verdict.reasons)
        .select_from(Submission)
        .outerjoin(
            Verdict,
            and_(Verdict.term_code == roll_call.term_code, Verdict.submission_id == Submission.id),
        )
        .where(*_of(Submission, roll_call))
        .order_by(Submission.received_at)
    )


async def _attempts(
    session: AsyncSession, sent: Select[UUID, str | None, list[Any] | None]
) -> dict[UUID, list[Attempt]]:
    attempts: dict[UUID, list[Attempt]] = defaultdict(list)
    for student_id, finding, reasons in await session.execute(sent):
        attempts[student_id].append(Attempt(Finding(finding) if finding else None, tuple(reasons or ())))
    return attempts


def _decided(attempts: list[Attempt], *, sent_to_a_person: bool) -> Decided:
    result = settle(attempts, sent_to_a_person=sent_to_a_person)
    trace = {"attempts": [[attempt.finding, list(attempt.reasons)] for attempt in attempts]}
    return Decided(result.outcome, result.reason, _SETTLER, trace)


@job_app.task(
    queue=DEFAULT,
    name="resettle_submission",
    pass_context=True,
    priority=Priority.HIGH,
    retry=RetryStrategy(
        wait=2, linear_wait=10
    ),  # for ever: giving up would leave someone missed who was in time
)
async def resettle_submission(context: JobContext, submission_id: str, school_id: str) -> None:
    """Run `resettle` under the school's scope."""
    app_context: AppContext = context.additional_context["app_context"]
    async with app_context.database.transaction(Scope.school(UUID(school_id))) as session:
        await resettle(session, UUID(submission_id), app_context.clock())


async def resettle(session: AsyncSession, submission_id: UUID, at: datetime) -> None:
    """Settle one student again whose in-time submission was stored only after the settlement (invariant 2)."""
    submission = await session.get_one(Submission, submission_id)
    roll_call = await session.get_one(RollCall, submission.roll_call_id)
    await lock_obligation(session, roll_call.id, submission.student_id)
    await lock_roll_call_shared(session, roll_call.id)
    earlier = await outcome_of(session, roll_call.id, submission.student_id)
    if earlier is None or earlier.outcome != Outcome.MISSED or not supersedable(earlier):
        return
    obligation = await session.get_one(Obligation, (roll_call.id, submission.student_id))
    student_id = submission.student_id
    sent = await _attempts(session, _sent(roll_call).where(Submission.student_id == student_id))
    told = await session.scalar(
        select(exists().where(_to_a_person(roll_call), Refusal.student_id == student_id))
    )
    decided = _decided(sent[student_id], sent_to_a_person=bool(told))
    await write_outcome(session, roll_call, obligation, decided, at, replaces=earlier)


async def _settle_unattended(session: AsyncSession, roll_call: RollCall, at: datetime) -> None:
    """Those who asked in the window and were sent to a person instead, and nobody attested them.

    The counselor may have had no time, or no quota left: a person looks, since that way is an equal one.
    """
    sent_there = _OPEN.c.student_id.in_(select(Refusal.student_id).where(_to_a_person(roll_call)))
    decided = Decided(Outcome.UNDETERMINED, UNATTENDED, _SETTLER)
    await write_first_outcomes(session, roll_call, decided, at, among=_open_among(sent_there))


async def _settle_silent(session: AsyncSession, roll_call: RollCall, at: datetime) -> None:
    """Everyone else: excused where the duty was excused at launch or leave stood when the notice went out, else
    missed if they were told in time.

    The law's boundary for leave is the notice (reading 6), and a launch may come days before it. What the launch froze
    stays as it is (invariant 10): the outcome alone says that leave excused.
    """
    step = await session.get(RollCallStep, (roll_call.id, "announced"))
    minimum = law_of(roll_call).duration("roll_call.window.minimum")
    if step is not None:
        window = NoticedWindow(step.at, roll_call.opens_at, roll_call.deadline)
        away = _OPEN.c.student_id.in_(on_leave(Reach(window, minimum, as_of=step.at)))
        excused = Decided(Outcome.EXCUSED, ON_LEAVE, _SETTLER)
        await write_first_outcomes(session, roll_call, excused, at, among=_open_among(away))
    told = told_in_time(
        None if step is None else step.at,
        (roll_call.opens_at, roll_call.deadline),
        minimum=minimum,
        grace=roll_call.frames_until - roll_call.closes_at,
    )
    silent = settle_silence(announced=told)
    decided = Decided(silent.outcome, silent.reason, _SETTLER)
    await write_first_outcomes(session, roll_call, decided, at, among=_OPEN)


async def _close(session: AsyncSession, roll_call: RollCall, at: datetime) -> Settlement:
    sums = await sums_of(session, roll_call.id)
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
    payload = {"roll_call_id": str(roll_call.id), "path": roll_call.launcher_path}
    await outbox.emit(session, "RollCallSettled", payload, at)
    await enqueue(session, compare_counters, **payload)
    return Settlement(figures)


@job_app.task(
    queue=DEFAULT,
    name="compare_counters",
    pass_context=True,
    priority=Priority.LOW,
    retry=RetryStrategy(  # for ever while the database is away; what differs is told at once
        wait=2, linear_wait=10, retry_exceptions=[OperationalError, InterfaceError, PoolTimeout]
    ),
)
async def compare_counters(context: JobContext, roll_call_id: str, path: str) -> None:
    """After a settlement, whose sums are those of the counters: fail loudly where the outcomes say something else."""
    app_context: AppContext = context.additional_context["app_context"]
    async with app_context.database.transaction(Scope.wide(path)) as session:
        found = await miscounts(session, UUID(roll_call_id))
    if found:
        msg = f"counters of {roll_call_id} differ from its outcomes in {len(found)} classes: dianming progress check"
        raise RuntimeError(msg)

"""The queue of verification: who takes what, for how long, and what becomes of what could not be judged.

A task is a row from the end of its burst until its verdict. A worker holds it by a lease: until an instant, and under a
fence that no other lease ever has. Whoever records asks for the fence in the same transaction, so that a worker who was
given up on, and whose tasks went to another, changes nothing when it comes back.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Integer,
    Update,
    and_,
    delete,
    literal,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as insert_or_leave
from sqlalchemy.ext.asyncio import AsyncSession

from backend.roll_call.tables import Submission, VerificationTask, VerificationThroughput
from backend.settings import Settings

BUCKET = timedelta(seconds=10)
"""Over which a worker sums what it judged."""
THROUGHPUT_KEPT = timedelta(hours=1)
_FIRST_WAIT = timedelta(seconds=2)
WORKER_LOST = "worker_lost"


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """On which terms this deployment lends out its queue."""

    batch: int
    lease: timedelta
    attempts: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            settings.verification_batch,
            timedelta(seconds=settings.verification_lease),
            settings.verification_attempts,
        )


@dataclass(frozen=True, slots=True)
class Lease:
    """One task, lent to one worker."""

    submission_id: UUID
    school_id: UUID
    attempts: int
    """This one included."""
    fence: int


async def enqueue_verification(session: AsyncSession, which: ColumnElement[bool], at: datetime) -> None:
    """Put these submissions into the queue, in the caller's transaction; those that are in it stay as they are.

    `which` is of `submission` rows. A dead letter stays one until somebody retries it.
    """
    row: dict[str, Any] = {
        "submission_id": Submission.id,
        "roll_call_id": Submission.roll_call_id,
        "school_id": Submission.school_id,
        "student_id": Submission.student_id,
        "state": literal("waiting"),
        "attempts": literal(0, Integer()),
        "enqueued_at": literal(at, DateTime(timezone=True)),
        "not_before": literal(at, DateTime(timezone=True)),
    }
    found = select(*row.values()).where(which)
    await session.execute(
        insert_or_leave(VerificationTask).from_select(list(row), found).on_conflict_do_nothing()
    )


_CLAIM = text(
    "SELECT submission_id, school_id, attempts, fence"
    " FROM definer.claim_verifications(:worker, :instant, :until, :at_most, :tries)"
)


async def claim(session: AsyncSession, worker: str, terms: QueueConfig, at: datetime) -> list[Lease]:
    """Lend out what waits longest: several of one school, or one that another worker was lost over.

    Needs no scope. Nothing is claimed twice however many ask at once. What was lost too often becomes a dead letter.
    """
    asked = {
        "worker": worker,
        "instant": at,
        "until": at + terms.lease,
        "at_most": terms.batch,
        "tries": terms.attempts,
    }
    return [Lease(*row) for row in await session.execute(_CLAIM, asked)]


def _held(leases: Collection[Lease]) -> ColumnElement[bool]:
    """Of `verification_task` rows: still under one of these leases. A fence is one lease's alone."""
    return and_(
        VerificationTask.submission_id.in_([lease.submission_id for lease in leases]),
        VerificationTask.fence.in_([lease.fence for lease in leases]),
        VerificationTask.state == "leased",
    )


async def renew(
    session: AsyncSession, leases: Collection[Lease], terms: QueueConfig, at: datetime
) -> set[UUID]:
    """Hold the leases for as long again; returns which of them are still held."""
    renewed = update(VerificationTask).where(_held(leases)).values(lease_until=at + terms.lease)
    return set(await session.scalars(renewed.returning(VerificationTask.submission_id)))


async def complete(session: AsyncSession, leases: Collection[Lease]) -> set[UUID]:
    """Take the tasks out of the queue, in the transaction that records their verdicts; returns those still held.

    The others were given to another worker, whose business they are now: nothing may be recorded of them.
    """
    gone = delete(VerificationTask).where(_held(leases)).returning(VerificationTask.submission_id)
    return set(await session.scalars(gone))


async def retry_later(
    session: AsyncSession, lease: Lease, code: str, terms: QueueConfig, at: datetime
) -> bool:
    """Leave a failed task for later, twice as long each time; after the last attempt it is a dead letter. True if so."""
    dead = lease.attempts >= terms.attempts
    wait = _FIRST_WAIT * 2 ** (lease.attempts - 1)
    await session.execute(
        _let_go([lease]).values(
            state="dead" if dead else "waiting",
            died_at=at if dead else None,
            not_before=at + wait,
            last_error=code,
        )
    )
    return dead


async def release(session: AsyncSession, leases: Collection[Lease]) -> None:
    """Undo a lease, of a worker that stops: no attempt was made."""
    await session.execute(_let_go(leases).values(state="waiting", attempts=VerificationTask.attempts - 1))


def _let_go(leases: Collection[Lease]) -> Update:
    return update(VerificationTask).where(_held(leases)).values(lease_until=None, worker=None)


async def record_throughput(
    session: AsyncSession, worker: str, judged: int, busy_seconds: float, at: datetime
) -> None:
    """Count what a worker judged in so many seconds of work; with each new sum, those of long ago are forgotten."""
    since = at - (at - datetime.fromtimestamp(0, UTC)) % BUCKET
    row = {"worker": worker, "since": since, "judged": judged, "busy_seconds": busy_seconds}
    added = insert_or_leave(VerificationThroughput).values(row)
    sums = {
        "judged": VerificationThroughput.judged + added.excluded.judged,
        "busy_seconds": VerificationThroughput.busy_seconds + added.excluded.busy_seconds,
    }
    summed = added.on_conflict_do_update(index_elements=["worker", "since"], set_=sums)
    begun = await session.scalar(summed.returning(literal_column("xmax = 0")))
    if begun:
        await session.execute(
            delete(VerificationThroughput).where(VerificationThroughput.since < at - THROUGHPUT_KEPT)
        )

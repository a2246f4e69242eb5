"""The verification queue: leases, retries and dead letters.

A task is a row of `verification_task` from the end of its burst until its verdict. A worker holds it by a lease with an
end time and a fence number that no other lease has. A worker that records a verdict checks its fence in the same
transaction. So a worker whose lease expired and went to another worker has no effect if it finishes later.
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
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.roll_call.tables import Submission, VerificationTask, VerificationThroughput
from backend.settings import Settings

BUCKET = timedelta(seconds=10)
"""The period over which a worker sums its throughput."""
THROUGHPUT_RETENTION = timedelta(hours=1)
_FIRST_RETRY_DELAY = timedelta(seconds=2)
WORKER_LOST = "worker_lost"
READING_FAILED, JUDGING_FAILED, RECORDING_FAILED = "reading_failed", "judging_failed", "recording_failed"
"""Error codes of a task: the step in which it failed. They say nothing about the student."""


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """Limits of the queue in this deployment: tasks in a batch, length of a lease, attempts for each task."""

    batch: int
    lease: timedelta
    attempts: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Read the limits from the settings."""
        return cls(
            settings.verification_batch_size,
            timedelta(seconds=settings.verification_lease_seconds),
            settings.verification_max_attempts,
        )


@dataclass(frozen=True, slots=True)
class Lease:
    """One task, leased to one worker."""

    submission_id: UUID
    school_id: UUID
    attempts: int
    """Including this one."""
    fence: int


async def enqueue_verification(session: AsyncSession, which: ColumnElement[bool], at: datetime) -> None:
    """Put submissions into the queue, in the caller's transaction. Submissions that are already queued do not change.

    `which` is a condition on `submission` rows. A dead letter stays one until staff retry it.
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
    rows = select(*row.values()).where(which)
    await session.execute(insert(VerificationTask).from_select(list(row), rows).on_conflict_do_nothing())


_CLAIM = text(
    "SELECT submission_id, school_id, attempts, fence"
    " FROM definer.claim_verifications(:worker, :instant, :until, :at_most, :tries)"
)


async def claim(session: AsyncSession, worker: str, config: QueueConfig, at: datetime) -> list[Lease]:
    """Lease the tasks that wait longest: several of one school, or a single one whose last worker was lost.

    Needs no tenant scope. Concurrent workers never claim the same task. A task whose worker was lost too often becomes
    a dead letter.
    """
    parameters = {
        "worker": worker,
        "instant": at,
        "until": at + config.lease,
        "at_most": config.batch,
        "tries": config.attempts,
    }
    return [Lease(*row) for row in await session.execute(_CLAIM, parameters)]


def _is_leased_under(leases: Collection[Lease]) -> ColumnElement[bool]:
    """Condition on `verification_task` rows: still held by one of these leases. A fence belongs to one lease only."""
    return and_(
        VerificationTask.submission_id.in_([lease.submission_id for lease in leases]),
        VerificationTask.fence.in_([lease.fence for lease in leases]),
        VerificationTask.state == "leased",
    )


async def renew(
    session: AsyncSession, leases: Collection[Lease], config: QueueConfig, at: datetime
) -> set[UUID]:
    """Extend the leases by a full lease time. Returns the submissions whose lease is still current."""
    renewed = update(VerificationTask).where(_is_leased_under(leases)).values(lease_until=at + config.lease)
    return set(await session.scalars(renewed.returning(VerificationTask.submission_id)))


async def complete(session: AsyncSession, leases: Collection[Lease]) -> set[UUID]:
    """Delete the tasks, in the transaction that records their verdicts. Returns those whose lease is still current.

    The other tasks were leased to another worker; the caller must not record anything for them.
    """
    deleted = (
        delete(VerificationTask).where(_is_leased_under(leases)).returning(VerificationTask.submission_id)
    )
    return set(await session.scalars(deleted))


async def retry_later(
    session: AsyncSession, lease: Lease, code: str, config: QueueConfig, at: datetime
) -> bool:
    """Reschedule a failed task with exponential backoff. Returns True if it was the last attempt: then it is a dead letter."""
    dead = lease.attempts >= config.attempts
    delay = _FIRST_RETRY_DELAY * 2 ** (lease.attempts - 1)
    await session.execute(
        _end_leases([lease]).values(
            state="dead" if dead else "waiting",
            died_at=at if dead else None,
            not_before=at + delay,
            last_error=code,
        )
    )
    return dead


async def release(session: AsyncSession, leases: Collection[Lease]) -> None:
    """Return tasks to the queue without counting an attempt, when a worker stops or was interrupted."""
    await session.execute(_end_leases(leases).values(state="waiting", attempts=VerificationTask.attempts - 1))


def _end_leases(leases: Collection[Lease]) -> Update:
    return update(VerificationTask).where(_is_leased_under(leases)).values(lease_until=None, worker=None)


async def record_throughput(
    session: AsyncSession, worker: str, judged: int, busy_seconds: float, at: datetime
) -> None:
    """Add to a worker's sum of the current ten seconds. The first call for a new sum deletes sums that are too old."""
    since = at - (at - datetime.fromtimestamp(0, UTC)) % BUCKET
    row = {"worker": worker, "since": since, "judged": judged, "busy_seconds": busy_seconds}
    added = insert(VerificationThroughput).values(row)
    sums = {
        "judged": VerificationThroughput.judged + added.excluded.judged,
        "busy_seconds": VerificationThroughput.busy_seconds + added.excluded.busy_seconds,
    }
    summed = added.on_conflict_do_update(index_elements=["worker", "since"], set_=sums)
    is_new_sum = await session.scalar(summed.returning(literal_column("xmax = 0")))
    if is_new_sum:
        await session.execute(
            delete(VerificationThroughput).where(VerificationThroughput.since < at - THROUGHPUT_RETENTION)
        )

"""Metrics of the verification queue: length, throughput and estimated time left."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.app_context import AppContext
from backend.core.tenancy import Scope
from backend.roll_call.tables import VerificationThroughput
from backend.roll_call.verification.queue import BUCKET

RECENT = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class QueueMetrics:
    """The tasks of one roll call (or of all) by state, and the throughput of all workers together."""

    waiting: int
    leased: int
    dead: int
    oldest: timedelta | None
    """The age of the oldest task, without dead letters. None if there is none."""
    judged_last_minute: int
    time_left: timedelta | None
    """Estimated time until all current tasks are verified. None if no worker verified anything in the last minute."""


class Throughput(Protocol):
    """The throughput of one worker over ten seconds or more."""

    @property
    def worker(self) -> str: ...
    @property
    def judged(self) -> int: ...
    @property
    def busy_seconds(self) -> float: ...


def estimate_time_left(unfinished: int, throughputs: Sequence[Throughput]) -> timedelta | None:
    """Estimate from the rate of the workers while they were busy.

    Idle time does not count: it shows how many submissions arrived, not how many could have been verified.
    """
    if not unfinished:
        return timedelta(0)
    rate = 0.0
    for worker in {each.worker for each in throughputs}:
        own = [each for each in throughputs if each.worker == worker]
        busy = sum(each.busy_seconds for each in own)
        rate += sum(each.judged for each in own) / busy if busy else 0.0
    return timedelta(seconds=math.ceil(unfinished / rate)) if rate else None


_LOAD = text("SELECT state, own, tasks, oldest FROM definer.verification_load(:roll_call)")


async def load_queue_metrics(session: AsyncSession, roll_call_id: UUID | None, at: datetime) -> QueueMetrics:
    """Load the metrics of a roll call that the caller may see completely, or of the whole queue without one.

    The queue is first come, first served for the whole deployment, so the time left includes the tasks of all roll
    calls. Reads every waiting task once: some tenths of a second for half a million tasks.
    """
    own: dict[str, int] = dict.fromkeys(("waiting", "leased", "dead"), 0)
    unfinished, oldest = 0, None
    for state, is_own, tasks, first in await session.execute(_LOAD, {"roll_call": roll_call_id}):
        own[state] += tasks if is_own else 0
        if state != "dead":
            unfinished += tasks
            oldest = min(first, oldest or first) if is_own else oldest
    since = VerificationThroughput.since > at - RECENT - BUCKET
    throughputs = (await session.scalars(select(VerificationThroughput).where(since))).all()
    return QueueMetrics(
        **own,
        oldest=at - oldest if oldest else None,
        judged_last_minute=sum(each.judged for each in throughputs if each.since > at - RECENT),
        time_left=estimate_time_left(unfinished if oldest else 0, throughputs),
    )


async def has_pending_verifications(app_context: AppContext) -> bool:
    """Whether any submission in the deployment is waiting or being verified."""
    async with app_context.database.transaction(Scope.none()) as session:
        return bool(await session.scalar(select(func.definer.has_pending_verifications())))

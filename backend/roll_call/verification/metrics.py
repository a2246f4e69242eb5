"""How much verification still has to do, how fast it goes, and when all will be judged."""

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
    """What the queue holds of a roll call (or of all), and the pace of all workers together."""

    waiting: int
    leased: int
    dead: int
    oldest: timedelta | None
    """How long the one has waited that waits longest; dead letters left out. None if nothing waits."""
    judged_last_minute: int
    left: timedelta | None
    """Until all are judged that wait now; None if nobody can tell, since no worker judged anything lately."""


class Throughput(Protocol):
    """A worker's sum of ten seconds or more."""

    @property
    def worker(self) -> str: ...
    @property
    def judged(self) -> int: ...
    @property
    def busy_seconds(self) -> float: ...


def time_left(unfinished: int, paces: Sequence[Throughput]) -> timedelta | None:
    """By what the workers of late judged in the seconds in which they had something to judge.

    A worker that idled is not slower for it: that many came, not that many could have been judged.
    """
    if not unfinished:
        return timedelta(0)
    rate = 0.0
    for worker in {pace.worker for pace in paces}:
        own = [pace for pace in paces if pace.worker == worker]
        busy = sum(pace.busy_seconds for pace in own)
        rate += sum(pace.judged for pace in own) / busy if busy else 0.0
    return timedelta(seconds=math.ceil(unfinished / rate)) if rate else None


_LOAD = text("SELECT state, own, tasks, oldest FROM definer.verification_load(:roll_call)")


async def queue_metrics(session: AsyncSession, roll_call_id: UUID | None, at: datetime) -> QueueMetrics:
    """The queue as it stands, for a roll call that the caller may see whole; without one, the whole queue.

    First come, first served over the whole deployment: what is left takes in whatever waits anywhere. Reads every
    waiting task once, some tenths of a second while half a million wait.
    """
    own: dict[str, int] = dict.fromkeys(("waiting", "leased", "dead"), 0)
    unfinished, oldest = 0, None
    for state, is_own, tasks, first in await session.execute(_LOAD, {"roll_call": roll_call_id}):
        own[state] += tasks if is_own else 0
        if state != "dead":
            unfinished += tasks
            oldest = min(first, oldest or first) if is_own else oldest
    since = VerificationThroughput.since > at - RECENT - BUCKET
    paces = (await session.scalars(select(VerificationThroughput).where(since))).all()
    return QueueMetrics(
        **own,
        oldest=at - oldest if oldest else None,
        judged_last_minute=sum(pace.judged for pace in paces if pace.since > at - RECENT),
        left=time_left(unfinished if oldest else 0, paces),
    )


async def has_pending_verifications(app_context: AppContext) -> bool:
    """Whether anything waits or is being judged in the whole deployment."""
    async with app_context.database.transaction(Scope.none()) as session:
        return bool(await session.scalar(select(func.definer.has_pending_verifications())))

"""How much verification still has to do, how fast it goes, and when all will be judged."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.runtime import Runtime
from backend.core.tenancy import Scope
from backend.roll_call.queue import BUCKET
from backend.roll_call.tables import VerificationPace, VerificationTask

RECENT = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Gauge:
    """What the queue holds of a roll call (or of all that the scope admits), and the pace of all workers together."""

    waiting: int
    leased: int
    dead: int
    oldest: timedelta | None
    """How long the one has waited that waits longest; dead letters left out. None if nothing waits."""
    judged_last_minute: int
    left: timedelta | None
    """Until all are judged that wait now; None if nobody can tell, since no worker judged anything lately."""


class Paced(Protocol):
    """A worker's sum of ten seconds or more."""

    @property
    def worker(self) -> str: ...
    @property
    def judged(self) -> int: ...
    @property
    def busy_seconds(self) -> float: ...


def time_left(unfinished: int, paces: Sequence[Paced]) -> timedelta | None:
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


async def gauge(session: AsyncSession, roll_call_id: UUID | None, at: datetime) -> Gauge:
    """The queue as it stands; without a roll call, of everything that the scope admits.

    The queue is first come, first served over the whole deployment: what is left takes in whatever waits anywhere.
    """
    tasks = select(VerificationTask.state, func.count(), func.min(VerificationTask.enqueued_at)).group_by(
        VerificationTask.state
    )
    if roll_call_id is not None:
        tasks = tasks.where(VerificationTask.roll_call_id == roll_call_id)
    found = {state: (count, first) for state, count, first in await session.execute(tasks)}
    counted = {state: found.get(state, (0, None))[0] for state in ("waiting", "leased", "dead")}
    firsts = [first for state, (_, first) in found.items() if state != "dead"]
    paces = (
        await session.scalars(select(VerificationPace).where(VerificationPace.since > at - RECENT - BUCKET))
    ).all()
    own = counted["waiting"] + counted["leased"]
    everywhere = await session.scalar(select(func.door.verifications_unfinished())) if own else 0
    return Gauge(
        **counted,
        oldest=at - min(firsts) if firsts else None,
        judged_last_minute=sum(pace.judged for pace in paces if pace.since > at - RECENT),
        left=time_left(everywhere or 0, paces),
    )


async def unfinished(runtime: Runtime) -> int:
    """How many wait or are being judged in the whole deployment."""
    async with runtime.database.transaction(Scope.none()) as session:
        return await session.scalar(select(func.door.verifications_unfinished())) or 0

"""Events leave through here: recorded and enqueued in the transaction that causes them."""

from datetime import datetime
from typing import Any

from procrastinate import JobContext, RetryStrategy
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.ids import new_id
from backend.core.jobs import FLOW, SOON, enqueue, job_app
from backend.core.tables import OutboxEvent


@job_app.task(
    queue=FLOW,
    name="deliver_event",
    pass_context=True,
    priority=SOON,
    retry=RetryStrategy(max_attempts=8, exponential_wait=3),
)
async def deliver_event(context: JobContext, event_id: str) -> None:
    """Tell every consumer of the event; which ones is the composition root's business."""
    await context.additional_context["deliver"](event_id)


_consumed: frozenset[str] | None = None


def consume_only(names: frozenset[str]) -> None:
    """Tell which events anybody consumes in this deployment; the others are recorded, and no job is made for them."""
    global _consumed  # noqa: PLW0603 - one flow a process, set once by the composition root
    _consumed = names


async def emit(session: AsyncSession, name: str, payload: dict[str, Any], at: datetime) -> None:
    """Record that `name` (past tense) happened; consumers run after the commit, each in its own transaction."""
    event = OutboxEvent(id=new_id(), name=name, payload=payload, occurred_at=at)
    session.add(event)
    await session.flush()
    if _consumed is None or name in _consumed:
        await enqueue(session, deliver_event, event_id=str(event.id))

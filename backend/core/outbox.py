"""Transactional outbox: events are recorded and enqueued in the transaction that causes them."""

from collections.abc import Collection
from datetime import datetime

from procrastinate import JobContext, RetryStrategy
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.bulk_insert import insert_rows
from backend.core.event import Event
from backend.core.ids import new_id
from backend.core.jobs import DEFAULT, Priority, enqueue, enqueue_all, job_app
from backend.core.tables import OutboxEvent

_RETRY = RetryStrategy(max_attempts=8, exponential_wait=3)


@job_app.task(
    queue=DEFAULT,
    name="deliver_event",
    pass_context=True,
    priority=Priority.HIGH,
    retry=_RETRY,
)
async def deliver_event(context: JobContext, event_id: str) -> None:
    """Deliver one event. The worker passes `backend.events.deliver`, which calls the consumers."""
    await context.additional_context["deliver"](event_id)


MAX_EVENTS_PER_JOB = 25
"""Events per job, if one transaction recorded many."""


@job_app.task(
    queue=DEFAULT,
    name="deliver_events",
    pass_context=True,
    priority=Priority.HIGH,
    retry=_RETRY,
)
async def deliver_events(context: JobContext, event_ids: list[str]) -> None:
    """Deliver each event. A failure does not stop the others; a retry of the job skips consumers that are done."""
    failures: list[Exception] = []
    for event_id in event_ids:
        try:
            await context.additional_context["deliver"](event_id)
        except Exception as error:  # noqa: BLE001 - raised below, so that the job is retried
            failures.append(error)
    if failures:
        msg = f"{len(failures)} of {len(event_ids)} events could not be delivered"
        raise ExceptionGroup(msg, failures)


_consumed_events: frozenset[str] | None = None


def set_consumed_events(names: frozenset[str]) -> None:
    """Set which events have consumers. The others are recorded without a job."""
    global _consumed_events  # noqa: PLW0603 - one table of subscriptions per process, set once at its start
    _consumed_events = names


async def emit(session: AsyncSession, event: Event, at: datetime) -> None:
    """Record one event. Its consumers run after the commit, each in its own transaction."""
    await emit_all(session, [(event, at)])


async def emit_all(session: AsyncSession, events: Collection[tuple[Event, datetime]]) -> None:
    """Record several events with the instants they happened, with as many statements as for one."""
    rows = [
        {"id": new_id(), "name": type(event).__name__, "payload": event.payload(), "occurred_at": at}
        for event, at in events
    ]
    await insert_rows(session, OutboxEvent, rows)
    event_ids = [
        str(row["id"]) for row in rows if _consumed_events is None or row["name"] in _consumed_events
    ]
    if len(event_ids) == 1:
        await enqueue(session, deliver_event, event_id=event_ids[0])
        return
    batches = [
        event_ids[first : first + MAX_EVENTS_PER_JOB]
        for first in range(0, len(event_ids), MAX_EVENTS_PER_JOB)
    ]
    await enqueue_all(session, deliver_events, [{"event_ids": batch} for batch in batches])

"""Events leave through here: recorded and enqueued in the transaction that causes them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from procrastinate import JobContext, RetryStrategy
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.bulk_insert import insert_rows
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
    """Tell every consumer of the event; which ones is the composition root's business."""
    await context.additional_context["deliver"](event_id)


MAX_DELIVERED_AT_ONCE = 25
"""Events that one job tells, where many happened in one transaction."""


@job_app.task(
    queue=DEFAULT,
    name="deliver_events",
    pass_context=True,
    priority=Priority.HIGH,
    retry=_RETRY,
)
async def deliver_events(context: JobContext, event_ids: list[str]) -> None:
    """Tell of each event. One that fails keeps no other waiting; when the job is tried again, each consumer's mark says
    what it has heard already.
    """
    failures: list[Exception] = []
    for event_id in event_ids:
        try:
            await context.additional_context["deliver"](event_id)
        except Exception as error:  # noqa: BLE001 - raised below, for the job to be tried again
            failures.append(error)
    if failures:
        msg = f"{len(failures)} of {len(event_ids)} events could not be told"
        raise ExceptionGroup(msg, failures)


_consumed: frozenset[str] | None = None


def consume_only(names: frozenset[str]) -> None:
    """Tell which events anybody consumes in this deployment; the others are recorded, and no job is made for them."""
    global _consumed  # noqa: PLW0603 - one flow a process, set once by the composition root
    _consumed = names


@dataclass(frozen=True, slots=True)
class Event:
    """What happened (past tense), to whom, and when."""

    name: str
    payload: dict[str, Any]
    at: datetime


async def emit(session: AsyncSession, name: str, payload: dict[str, Any], at: datetime) -> None:
    """Record that `name` (past tense) happened; consumers run after the commit, each in its own transaction."""
    await emit_all(session, [Event(name, payload, at)])


async def emit_all(session: AsyncSession, events: Collection[Event]) -> None:
    """`emit` for each, by as many statements as for one."""
    rows = [
        {"id": new_id(), "name": event.name, "payload": event.payload, "occurred_at": event.at}
        for event in events
    ]
    await insert_rows(session, OutboxEvent, rows)
    told = [str(row["id"]) for row in rows if _consumed is None or row["name"] in _consumed]
    if len(told) == 1:
        await enqueue(session, deliver_event, event_id=told[0])
        return
    parts = [
        told[first : first + MAX_DELIVERED_AT_ONCE] for first in range(0, len(told), MAX_DELIVERED_AT_ONCE)
    ]
    await enqueue_all(session, deliver_events, [{"event_ids": part} for part in parts])

"""Jobs that start later, enqueued in the transaction that causes them."""

from datetime import datetime
from typing import Any

from procrastinate.tasks import Task
from procrastinate.types import JSONValue
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.database import driver_connection


async def enqueue_at(
    session: AsyncSession, task: Task[Any, Any, Any], when: datetime, **arguments: JSONValue
) -> None:
    """Enqueue a job that does not start before `when`."""
    connection = await driver_connection(session)
    await task.configure(schedule_at=when, connection=connection).defer_async(**arguments)

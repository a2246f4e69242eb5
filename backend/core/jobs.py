"""Background jobs: enqueued in the transaction that causes them, run by `dianming worker`.

Rooms register their tasks on `job_app` in their `jobs.py`; the worker opens it on its own connections.
"""

from collections.abc import Collection, Mapping
from enum import IntEnum
from typing import Any

import procrastinate
import psycopg.conninfo
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.database import driver_connection
from backend.core.direct_connections import Connection

VERIFICATION = "verification"
DEFAULT = "flow"
NOTICES = "notices"
QUEUES = [VERIFICATION, DEFAULT, NOTICES]


class Priority(IntEnum):
    """Job priorities around the default 0, so that a rush of verifications delays neither scheduled jobs nor events."""

    SCHEDULED = 2
    HIGH = 1
    LOW = -1


def conninfo(database_url: str) -> str:
    """The libpq form of a SQLAlchemy URL."""
    url = make_url(database_url)
    query = {key: value for key, value in url.query.items() if isinstance(value, str)}
    parts = {"dbname": url.database, "user": url.username, "password": url.password, "port": url.port}
    parts["host"] = url.host or None
    return psycopg.conninfo.make_conninfo("", **{k: v for k, v in (parts | query).items() if v is not None})


job_app = procrastinate.App(connector=procrastinate.PsycopgConnector())


async def enqueue(
    session: AsyncSession, task: procrastinate.tasks.Task[Any, Any, Any], **arguments: Any
) -> None:
    """Enqueue a job in the session's own transaction: it exists exactly if the cause does."""
    await enqueue_all(session, task, [arguments])


async def enqueue_all(
    session: AsyncSession,
    task: procrastinate.tasks.Task[Any, Any, Any],
    each: Collection[Mapping[str, Any]],
) -> None:
    """`enqueue` a job for each of the arguments, by one statement."""
    if each:
        await defer_all(await driver_connection(session), task, each)


async def defer_all(
    connection: Connection,
    task: procrastinate.tasks.Task[Any, Any, Any],
    each: Collection[Mapping[str, Any]],
) -> None:
    """`enqueue_all` in the transaction of a connection."""
    await task.configure(connection=connection).batch_defer_async(*map(dict, each))


async def enqueue_unless_waiting(
    session: AsyncSession, task: procrastinate.tasks.Task[Any, Any, Any], key: str, **arguments: Any
) -> bool:
    """Enqueue a job unless one with the same `key` is waiting already; False then."""
    try:
        # The savepoint keeps the caller's transaction alive when the key is taken. It is only set once the
        # session is asked for its connection, hence inside.
        async with session.begin_nested():
            connection = await driver_connection(session)
            await task.configure(connection=connection, queueing_lock=key).defer_async(**arguments)
    except procrastinate.exceptions.AlreadyEnqueued:
        return False
    return True


JobRequest = tuple[procrastinate.tasks.Task[Any, Any, Any], str, Mapping[str, Any]]
"""A task, the key under which one job of it waits at most, and its arguments."""


async def enqueue_all_unless_waiting(session: AsyncSession, wanted: Collection[JobRequest]) -> None:
    """`enqueue_unless_waiting` for each, by one statement where none of them waits already."""
    if not wanted:
        return
    try:
        async with session.begin_nested():
            connection = await driver_connection(session)
            jobs = [
                task.configure(queueing_lock=key).make_new_job(**arguments) for task, key, arguments in wanted
            ]
            await job_app.job_manager.batch_defer_jobs_async(jobs, connection)
    except procrastinate.exceptions.AlreadyEnqueued:
        for task, key, arguments in wanted:
            await enqueue_unless_waiting(session, task, key, **arguments)

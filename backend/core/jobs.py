"""Background jobs (procrastinate): enqueued in the transaction that causes them, run by `dianming worker`.

Packages register their tasks on `job_app` in their `tasks.py`. The worker opens it with its own connections.
"""

from collections.abc import Collection, Mapping
from enum import IntEnum
from typing import Any

import procrastinate
import psycopg.conninfo
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.database import driver_connection
from backend.core.unscoped_connections import Connection

VERIFICATION = "verification"
DEFAULT = "flow"
NOTICES = "notices"
QUEUES = [VERIFICATION, DEFAULT, NOTICES]


class Priority(IntEnum):
    """Job priorities around the default 0, so that many enrolments delay neither scheduled jobs nor events."""

    SCHEDULED = 2
    HIGH = 1
    LOW = -1


def conninfo(database_url: str) -> str:
    """The libpq connection string of a SQLAlchemy URL."""
    url = make_url(database_url)
    query = {key: value for key, value in url.query.items() if isinstance(value, str)}
    parts = {"dbname": url.database, "user": url.username, "password": url.password, "port": url.port}
    parts["host"] = url.host or None
    return psycopg.conninfo.make_conninfo("", **{k: v for k, v in (parts | query).items() if v is not None})


job_app = procrastinate.App(connector=procrastinate.PsycopgConnector())


async def enqueue(
    session: AsyncSession, task: procrastinate.tasks.Task[Any, Any, Any], **arguments: Any
) -> None:
    """Enqueue a job in the session's transaction. It exists only if that commits."""
    await enqueue_all(session, task, [arguments])


async def enqueue_all(
    session: AsyncSession,
    task: procrastinate.tasks.Task[Any, Any, Any],
    each: Collection[Mapping[str, Any]],
) -> None:
    """Enqueue one job per item of `each`, the arguments of a job, in one statement."""
    if each:
        await enqueue_all_on_connection(await driver_connection(session), task, each)


async def enqueue_all_on_connection(
    connection: Connection,
    task: procrastinate.tasks.Task[Any, Any, Any],
    each: Collection[Mapping[str, Any]],
) -> None:
    """`enqueue_all` for a psycopg connection instead of a session."""
    await task.configure(connection=connection).batch_defer_async(*map(dict, each))


async def enqueue_unless_waiting(
    session: AsyncSession, task: procrastinate.tasks.Task[Any, Any, Any], key: str, **arguments: Any
) -> bool:
    """Enqueue a job unless one with the same `key` is waiting. Returns whether it was enqueued."""
    try:
        # The savepoint keeps the caller's transaction usable when the key is taken. SQLAlchemy creates it when the
        # connection is first used, so the connection must be obtained inside.
        async with session.begin_nested():
            connection = await driver_connection(session)
            await task.configure(connection=connection, queueing_lock=key).defer_async(**arguments)
    except procrastinate.exceptions.AlreadyEnqueued:
        return False
    return True


JobRequest = tuple[procrastinate.tasks.Task[Any, Any, Any], str, Mapping[str, Any]]
"""A task, the key of which at most one job may wait, and the arguments."""


async def enqueue_all_unless_waiting(session: AsyncSession, requests: Collection[JobRequest]) -> None:
    """`enqueue_unless_waiting` for each request, in one statement if no key is taken."""
    if not requests:
        return
    try:
        async with session.begin_nested():
            connection = await driver_connection(session)
            jobs = [
                task.configure(queueing_lock=key).make_new_job(**arguments)
                for task, key, arguments in requests
            ]
            await job_app.job_manager.batch_defer_jobs_async(jobs, connection)
    except procrastinate.exceptions.AlreadyEnqueued:
        for task, key, arguments in requests:
            await enqueue_unless_waiting(session, task, key, **arguments)

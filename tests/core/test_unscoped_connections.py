"""Connections without a session: reused while they work, closed after an error, replaced when the server closed them."""

import asyncio

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from backend.core import unscoped_connections
from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.unscoped_connections import MAX_CONNECTIONS


async def backend_pid(database: Database) -> int:
    async with database.unscoped.transaction() as connection:
        (pid,) = await (await connection.execute("SELECT pg_backend_pid()")).fetchone() or (0,)
        return int(pid)


async def test_connection_is_reused_by_the_next_transaction(app_context: AppContext) -> None:
    assert await backend_pid(app_context.database) == await backend_pid(app_context.database)


async def test_connection_of_a_failed_transaction_is_not_reused(
    app_context: AppContext,
) -> None:
    database = app_context.database
    before = await backend_pid(database)
    with pytest.raises(psycopg.errors.DivisionByZero):
        async with database.unscoped.transaction() as connection:
            await connection.execute("SELECT 1 / 0")
    assert await backend_pid(database) != before


async def test_connection_closed_by_the_server_is_replaced(app_context: AppContext) -> None:
    database = app_context.database
    closed = await backend_pid(database)
    await database.fetch_autocommit(text("SELECT pg_terminate_backend(:pid, 5000)"), pid=closed)
    assert await backend_pid(database) != closed


async def test_lost_connection_raises_the_error_of_a_session(app_context: AppContext) -> None:
    with pytest.raises(OperationalError):
        async with app_context.database.unscoped.transaction() as connection:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")


async def test_prepared_statements_survive_discarded_plans(app_context: AppContext) -> None:
    for number in range(70):
        async with app_context.database.unscoped.transaction() as connection:
            row = await (await connection.execute("SELECT %s::int", [number], prepare=True)).fetchone()
            assert row == (number,)


async def test_many_queries_share_a_limited_number_of_connections(
    app_context: AppContext,
) -> None:
    database, query = app_context.database, text("SELECT pg_backend_pid() AS pid, pg_sleep(0.005)")
    results = await asyncio.gather(*(database.fetch_autocommit(query) for _ in range(5 * MAX_CONNECTIONS)))
    assert len({row["pid"] for (row,) in results}) <= MAX_CONNECTIONS


async def test_failed_query_does_not_affect_later_ones(app_context: AppContext) -> None:
    write = text("SELECT set_config('dianming.noted', :value, false) AS noted, '50%' AS share")
    (row,) = await app_context.database.fetch_autocommit(write, value="yes")
    assert (row["noted"], row["share"]) == ("yes", "50%")
    with pytest.raises(psycopg.errors.DivisionByZero):
        await app_context.database.fetch_autocommit(text("SELECT 1 / :zero"), zero=0)
    (row,) = await app_context.database.fetch_autocommit(text("SELECT 1 AS number"))
    assert row["number"] == 1


async def test_query_without_a_free_connection_times_out(
    app_context: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unscoped_connections, "TIMEOUT_SECONDS", 0.2)
    database, query = Database(app_context.database.engine), text("SELECT pg_sleep(0.5)")
    results = await asyncio.gather(
        *(database.fetch_autocommit(query) for _ in range(MAX_CONNECTIONS + 1)), return_exceptions=True
    )
    assert [type(each) for each in results if isinstance(each, BaseException)] == [PoolExhausted]
    assert await database.fetch_autocommit(text("SELECT 1"))
    await database.unscoped.close()

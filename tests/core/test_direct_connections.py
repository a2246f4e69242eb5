"""Connections without a session: kept while they are sound, never after an error, renewed when the server ended them."""

import asyncio

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoTurn

from backend.core import direct_connections
from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.direct_connections import MAX_CONNECTIONS


async def backend_pid(database: Database) -> int:
    async with database.direct.transaction() as connection:
        (pid,) = await (await connection.execute("SELECT pg_backend_pid()")).fetchone() or (0,)
        return int(pid)


async def test_a_connection_is_kept_for_the_next_transaction(app_context: AppContext) -> None:
    assert await backend_pid(app_context.database) == await backend_pid(app_context.database)


async def test_a_transaction_in_error_leaves_nothing_and_its_connection_is_not_used_again(
    app_context: AppContext,
) -> None:
    database = app_context.database
    before = await backend_pid(database)
    with pytest.raises(psycopg.errors.DivisionByZero):
        async with database.direct.transaction() as connection:
            await connection.execute("SELECT 1 / 0")
    assert await backend_pid(database) != before


async def test_connections_that_the_server_ended_meanwhile_trouble_nobody(app_context: AppContext) -> None:
    database = app_context.database
    ended = await backend_pid(database)
    await database.ask(text("SELECT pg_terminate_backend(:pid, 5000)"), pid=ended)
    assert await backend_pid(database) != ended


async def test_a_connection_that_is_lost_raises_what_a_session_would(app_context: AppContext) -> None:
    with pytest.raises(OperationalError):
        async with app_context.database.direct.transaction() as connection:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")


async def test_plans_are_renewed_and_prepared_statements_stay(app_context: AppContext) -> None:
    for number in range(70):
        async with app_context.database.direct.transaction() as connection:
            found = await (await connection.execute("SELECT %s::int", [number], prepare=True)).fetchone()
            assert found == (number,)


async def test_questions_of_a_rush_wait_for_each_other_and_not_for_a_connection_each(
    app_context: AppContext,
) -> None:
    database, me = app_context.database, text("SELECT pg_backend_pid() AS pid, pg_sleep(0.005)")
    asked = await asyncio.gather(*(database.ask(me) for _ in range(5 * MAX_CONNECTIONS)))
    assert len({row["pid"] for (row,) in asked}) <= MAX_CONNECTIONS


async def test_a_question_that_failed_spoils_no_other(app_context: AppContext) -> None:
    write = text("SELECT set_config('dianming.noted', :value, false) AS noted, '50%' AS share")
    (written,) = await app_context.database.ask(write, value="yes")
    assert (written["noted"], written["share"]) == ("yes", "50%")
    with pytest.raises(psycopg.errors.DivisionByZero):
        await app_context.database.ask(text("SELECT 1 / :zero"), zero=0)
    (row,) = await app_context.database.ask(text("SELECT 1 AS number"))
    assert row["number"] == 1


async def test_where_no_turn_comes_a_question_does_not_wait_for_ever(
    app_context: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct_connections, "TIMEOUT_SECONDS", 0.2)
    database, waiting = Database(app_context.database.engine), text("SELECT pg_sleep(0.5)")
    asked = await asyncio.gather(
        *(database.ask(waiting) for _ in range(MAX_CONNECTIONS + 1)), return_exceptions=True
    )
    assert [type(each) for each in asked if isinstance(each, BaseException)] == [NoTurn]
    assert await database.ask(text("SELECT 1"))

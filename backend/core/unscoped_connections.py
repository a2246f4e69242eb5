"""psycopg connections without a SQLAlchemy session or a tenant scope, for what a whole province calls within minutes.

A session costs a millisecond of processor time per transaction, as much as the transaction of a small batch. Only the
owner's `definer` functions run here: they take what they compare as arguments, and no tenant row is visible otherwise.
"""

import select
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.ext.asyncio import AsyncEngine

Connection = psycopg.AsyncConnection[Any]

MAX_CONNECTIONS = 8
"""Of each kind in one process: a statement takes about a millisecond, and one event loop sends no more at a time."""
TIMEOUT_SECONDS = 5.0
"""How long a caller waits for a connection, also while the database is down; phones give up after about ten seconds."""
RECONNECT_SECONDS = 5.0
"""How long the pool repeats a failed connection attempt, after 1, 3 and 5 seconds; the next caller then starts again. The
default of five minutes with doubling delays would make an outage of a minute last up to two."""

_USES_PER_PLAN = 64
"""Transactions after which a connection replans its statements. A new connection does so after 1, 2, 4, … uses: a plan made
before a term has rows would read all of them for each row."""


class _PooledConnection(psycopg.AsyncConnection[Any]):
    """A connection that counts how often it was given to a caller."""

    uses = 0


class UnscopedConnections:
    """Transactions and autocommit queries over two pools, which open their connections at the first use.

    A database that cannot be reached raises the same errors as a session would.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        _, self._arguments = engine.dialect.create_connect_args(engine.url)
        self._transactions = self._create_pool("unscoped transactions", autocommit=False)
        self._queries = self._create_pool("unscoped queries", autocommit=True)

    def _create_pool(self, name: str, *, autocommit: bool) -> AsyncConnectionPool[_PooledConnection]:
        async def prepare_for_use(connection: _PooledConnection) -> None:
            if _is_closed_by_server(connection):
                await connection.close()
                await pool.drain()  # a restarted server has closed the others, too
                raise psycopg.OperationalError("the server closed an idle connection")
            connection.uses += 1
            if connection.uses % _USES_PER_PLAN == 0 or connection.uses.bit_count() == 1:
                await connection.execute("DISCARD PLANS")

        pool = AsyncConnectionPool(
            name=name,
            connection_class=_PooledConnection,
            kwargs={**self._arguments, "autocommit": autocommit},
            min_size=0,
            max_size=MAX_CONNECTIONS,
            timeout=TIMEOUT_SECONDS,
            reconnect_timeout=RECONNECT_SECONDS,
            check=prepare_for_use,
            open=False,
        )
        return pool

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A transaction that sees no tenant's row. It is committed at the end; any error rolls it back."""
        async with _borrow(self._transactions) as connection:
            yield connection

    async def fetch_autocommit(self, statement: bytes, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows of one statement that commits by itself. Its parameters are the driver's own: `%(name)s`."""
        async with (
            _borrow(self._queries) as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            await cursor.execute(statement, parameters, prepare=True)
            return await cursor.fetchall()

    async def close(self) -> None:
        """Close every connection."""
        await self._transactions.close()
        await self._queries.close()


@asynccontextmanager
async def _borrow(pool: AsyncConnectionPool[_PooledConnection]) -> AsyncIterator[Connection]:
    """A connection of the pool, with SQLAlchemy's errors. After an error it is closed, never reused."""
    if pool.closed:
        await pool.open()
    try:
        async with pool.connection() as connection:
            try:
                yield connection
            except BaseException:
                await connection.close()
                raise
    except PoolTimeout as error:
        raise PoolExhausted from error
    except psycopg.OperationalError as error:
        raise OperationalError(None, None, error) from error


def _is_closed_by_server(connection: Connection) -> bool:
    """Whether an idle connection has something to read: the server sends nothing but the reason why it ends one.

    Polling the socket costs microseconds; a query, as the pool's own check sends one, costs a round trip.
    """
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLIN)
    return bool(poller.poll(0))

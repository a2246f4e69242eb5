"""Connections of the driver itself, without pool, session or scope: for what a whole province calls within minutes.

A session costs a millisecond of the processor for a transaction in which it does nothing, as much as the transaction of
a small batch. Here are only the owner's narrow functions called, which take what they compare as arguments.
"""

import asyncio
import select
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoTurn
from sqlalchemy.ext.asyncio import AsyncEngine

Connection = psycopg.AsyncConnection[Any]

_PLANS_LAST = 64
"""Transactions for which a connection keeps its plans, and a young one only until it has served twice as many: a plan
that was made while a term's first rows were yet to come reads all of them for each row."""


@dataclass(slots=True)
class _Kept:
    connection: Connection
    served: int = 0

    @property
    def usable(self) -> bool:
        """Whether it is open; to an idle connection the server speaks only when it ends it."""
        if self.connection.closed:
            return False
        heard = select.poll()
        heard.register(self.connection.fileno(), select.POLLIN)
        return not heard.poll(0)


class DirectConnections:
    """As many as are used at once, kept for the next."""

    def __init__(self, engine: AsyncEngine, *, autocommit: bool = False) -> None:
        self._engine = engine
        self._autocommit = autocommit
        self._idle: list[_Kept] = []

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A transaction that sees no tenant's row: committed at the end. Any error ends the connection, and so it.

        A database that is away raises what it raises of a session.
        """
        async with self._lent() as connection:
            yield connection
            await connection.commit()

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[Connection]:
        kept: _Kept | None = None
        try:
            kept = await self._taken()
            yield kept.connection
        except BaseException as error:
            if kept is not None:
                await kept.connection.close()
            if isinstance(error, psycopg.OperationalError):
                raise OperationalError(None, None, error) from error
            raise
        self._idle.append(kept)

    async def close(self) -> None:
        """Close all that are idle."""
        while self._idle:
            await self._idle.pop().connection.close()

    async def _taken(self) -> _Kept:
        kept = self._idle.pop() if self._idle else None
        if kept is not None and not kept.usable:
            await kept.connection.close()
            await self.close()  # what ended one has most likely ended them all
            kept = None
        if kept is None:
            _, arguments = self._engine.dialect.create_connect_args(self._engine.url)
            opened = await psycopg.AsyncConnection.connect(autocommit=self._autocommit, **arguments)
            kept = _Kept(opened)
        kept.served += 1
        if kept.served % _PLANS_LAST == 0 or kept.served & (kept.served - 1) == 0:
            await kept.connection.execute("DISCARD PLANS")
        return kept


PATIENCE = 10.0
"""Seconds for which a question waits for those before it: then the database is as good as away."""


class Asking(DirectConnections):
    """Single statements that commit by themselves, some at once: who comes in a rush waits here, and not for a connection."""

    def __init__(self, engine: AsyncEngine, at_once: int) -> None:
        super().__init__(engine, autocommit=True)
        self._turns = asyncio.Semaphore(at_once)

    async def rows(self, statement: bytes, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What the statement answers; its parameters are the driver's own, `%(name)s`.

        Raises SQLAlchemy's `TimeoutError`, as its pool does, where no turn comes.
        """
        async with (
            self._turn(),
            self._lent() as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            await cursor.execute(statement, parameters, prepare=True)
            return await cursor.fetchall()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._turns.acquire()
        except TimeoutError as error:
            raise NoTurn from error
        try:
            yield
        finally:
            self._turns.release()

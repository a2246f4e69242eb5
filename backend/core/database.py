"""The database of a process: sessions, transactions, and the base class of all tables."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import psycopg
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    MetaData,
    TextClause,
    Uuid,
    any_,
    literal,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute

from backend.core.tenancy import Scope, apply_scope
from backend.core.unscoped_connections import Connection, UnscopedConnections


class Base(DeclarativeBase):
    """Base of every table. `__tenancy__` names the column that row-level security compares; a test verifies it.

    Values: `school` (column school_id), `student` (school_id and student_id), `two_schools` (school_id and
    holder_school_id), `account` (account_id),
    `org` (org_path), `open` (readable by every signed-in account, nothing personal) and `ledger`
    (identifiers only, append-only, internal).
    """

    __tenancy__: ClassVar[str]
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        UUID: Uuid(),
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
    }


class Database:
    """The SQLAlchemy engine of a process, and the only way to open a transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)
        self.unscoped = UnscopedConnections(engine)
        self._compiled: dict[TextClause, bytes] = {}

    @classmethod
    def connect(cls, url: str, pool_size: int = 10) -> "Database":
        """Create a pool of at most twice `pool_size` connections. They are opened at the first use."""
        return cls(
            create_async_engine(
                url,
                pool_size=pool_size,
                max_overflow=pool_size,
                pool_pre_ping=True,
                pool_use_lifo=True,  # the connection used last has its statements prepared and its caches filled
                hide_parameters=True,
            )
        )

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[AsyncSession]:
        """A session inside one transaction under `scope`. It commits at the end and rolls back on any error."""
        async with self._sessions() as session, session.begin():
            await apply_scope(session, scope)
            yield session

    async def fetch_autocommit(self, statement: TextClause, **parameters: Any) -> Sequence[Mapping[str, Any]]:
        """Run one statement that commits by itself, before a scope is known: a call of a `definer` function.

        Every request authenticates this way. A session would cost a millisecond of processor time more.
        """
        compiled = self._compiled.get(statement)
        if compiled is None:  # with the driver's own parameters
            compiled = str(statement.compile(dialect=self.engine.dialect)).encode()
            self._compiled[statement] = compiled
        return await self.unscoped.fetch_autocommit(compiled, parameters)

    async def close(self) -> None:
        """Close every connection."""
        await self.unscoped.close()
        await self.engine.dispose()


def equals_any(
    column: InstrumentedAttribute[UUID] | InstrumentedAttribute[UUID | None], values: Collection[UUID]
) -> ColumnElement[bool]:
    """`column = ANY(array)`: the same statement text for any number of ids.

    `IN` with a parameter for each id is compiled, parsed and planned again for every number of ids.
    """
    return column == any_(literal(list(values), ARRAY(Uuid())))


def is_unreachable(error: BaseException) -> bool:
    """Whether the error means that the database is down, starting or unreachable, and not that the statement is wrong."""
    if not isinstance(error, OperationalError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    return state is None or state.startswith(("08", "57P"))


async def driver_connection(session: AsyncSession) -> Connection:
    """The psycopg connection of the session's transaction, for COPY and for enqueuing jobs."""
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    assert isinstance(driver, psycopg.AsyncConnection)
    return driver

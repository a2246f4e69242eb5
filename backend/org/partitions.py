"""The partitions of a term: made by the database when the term is opened, checked here, made again if they lack."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_LACKING = text("SELECT term_code, table_name FROM definer.terms_without_partitions()")
_MAKE = text("SELECT term_code, table_name FROM definer.make_term_partitions()")


@dataclass(frozen=True, slots=True)
class Partition:
    """The rows of one term in one table."""

    term_code: str
    table: str


async def lacking_partitions(session: AsyncSession) -> Sequence[Partition]:
    """Partitions that a term on file should have and has not: its roll calls could not be launched."""
    return [Partition(*row) for row in await session.execute(_LACKING)]


async def make_partitions(session: AsyncSession) -> Sequence[Partition]:
    """Make what lacks; returns what was made. Raises what the driver says if a table stays in use for seconds."""
    return [Partition(*row) for row in await session.execute(_MAKE)]

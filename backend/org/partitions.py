"""The partitions of a term. The database creates them when the term is opened; this module checks and repairs them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_FIND_MISSING = text("SELECT term_code, table_name FROM definer.missing_term_partitions()")
_CREATE_MISSING = text("SELECT term_code, table_name FROM definer.create_missing_term_partitions()")


@dataclass(frozen=True, slots=True)
class Partition:
    """The rows of one term in one table."""

    term_code: str
    table: str


async def find_missing_partitions(session: AsyncSession) -> Sequence[Partition]:
    """List the partitions that a term should have and does not: no roll call can be launched in such a term."""
    return [Partition(*row) for row in await session.execute(_FIND_MISSING)]


async def create_missing_partitions(session: AsyncSession) -> Sequence[Partition]:
    """Create the missing partitions and return them. Raises the driver's error if a table stays locked."""
    return [Partition(*row) for row in await session.execute(_CREATE_MISSING)]

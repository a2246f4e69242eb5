"""The obligations of a roll call that have no outcome yet, as a temporary table for one settlement.

They are few among possibly a million obligations, and every step of a settlement needs them, so they are selected once.
A student who gets an outcome during the settlement stays in the table; writing a first outcome again changes nothing.
"""

from sqlalchemy import ColumnElement, FromClause, String, Uuid, column, select, table, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.roll_call.tables import RollCall

OPEN_OBLIGATIONS = table(
    "still_open",
    column("student_id", Uuid()),
    column("school_id", Uuid()),
    column("class_id", Uuid()),
    column("duty", String()),
    column("reason", String()),
)
_CREATE = (
    "DROP TABLE IF EXISTS pg_temp.still_open",
    (
        "CREATE TEMPORARY TABLE still_open ON COMMIT DROP AS"
        " SELECT * FROM definer.open_obligations(CAST(:roll_call_id AS uuid))"
    ),
    "ANALYZE still_open",
)


async def create_open_obligations(session: AsyncSession, roll_call: RollCall) -> None:
    """Create and fill the temporary table; it is dropped at the commit."""
    for statement in _CREATE:
        await session.execute(text(statement), {"roll_call_id": roll_call.id})


def open_obligations_where(condition: ColumnElement[bool]) -> FromClause:
    """The rows of the temporary table that satisfy a condition."""
    return select(OPEN_OBLIGATIONS).where(condition).subquery()

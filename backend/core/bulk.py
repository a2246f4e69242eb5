"""Many rows by one statement whose text does not grow with them.

The rows travel as one JSON document. A statement with a parameter for every value is written, parsed and planned anew
for each number of rows, which for some hundred rows takes longer than the database takes to store them.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.database import Base


async def insert_rows(
    session: AsyncSession,
    table: type[Base],
    rows: Sequence[Mapping[str, Any]],
    *,
    then: str = "",
    returning: Sequence[str] = (),
) -> Sequence[Row[Any]]:
    """Insert rows that all name the same columns; `then` is what follows in SQL, such as ON CONFLICT.

    Returns the `returning` columns of what was written, as the driver reads them. Whatever the session holds of the
    same table is flushed before, and is not refreshed.
    """
    if not rows:
        return []
    await session.flush()
    statement = _statement(table.__tablename__, tuple(rows[0]), then, tuple(returning))
    document = json.dumps([dict(row) for row in rows], default=_plain, ensure_ascii=False)
    found = await session.execute(statement, {"rows": document})
    return found.all() if returning else []


@cache
def _statement(table: str, columns: tuple[str, ...], then: str, returning: tuple[str, ...]) -> TextClause:
    named = ", ".join(f'"{column}"' for column in columns)
    answer = f" RETURNING {', '.join(f'{table}.{column}' for column in returning)}" if returning else ""
    return text(
        f"INSERT INTO {table} ({named}) SELECT {named}"  # noqa: S608 - names of our own tables and columns
        f" FROM jsonb_populate_recordset(CAST(NULL AS {table}), CAST(:rows AS jsonb)) {then}{answer}"
    )


def _plain(value: object) -> str:
    """As PostgreSQL reads them: instants with their offset, bytes in hexadecimal."""
    match value:
        case UUID():
            return str(value)
        case datetime() | date():
            return value.isoformat()
        case bytes():
            return "\\x" + value.hex()
    raise TypeError(f"{type(value).__name__} is no value of a row")

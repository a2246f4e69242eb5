"""Many rows by one statement whose text does not grow with them.

The rows travel as one JSON document. A statement with a parameter for every value is written, parsed and planned anew
for each number of rows, which for some hundred rows takes longer than the database takes to store them.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic_core import to_json
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
    found = await session.execute(statement, {"rows": f"[{','.join(map(_row, rows))}]"})
    return found.all() if returning else []


@cache
def _statement(table: str, columns: tuple[str, ...], then: str, returning: tuple[str, ...]) -> TextClause:
    named = ", ".join(f'"{column}"' for column in columns)
    answer = f" RETURNING {', '.join(f'{table}.{column}' for column in returning)}" if returning else ""
    return text(
        f"INSERT INTO {table} ({named}) SELECT {named}"  # noqa: S608 - names of our own tables and columns
        f" FROM jsonb_populate_recordset(CAST(NULL AS {table}), CAST(:rows AS jsonb)) {then}{answer}"
    )


class RawJson(str):
    """A value that is written as JSON already, and goes into its row as it is."""

    __slots__ = ()


def _row(row: Mapping[str, Any]) -> str:
    plain = {name: _plain(value) for name, value in row.items() if not isinstance(value, RawJson)}
    written = to_json(plain, inf_nan_mode="constants").decode()
    ready = [f'"{name}":{value}' for name, value in row.items() if isinstance(value, RawJson)]
    return "{" + ",".join(part for part in (written[1:-1], *ready) if part) + "}" if ready else written


def _plain(value: object) -> object:
    """As PostgreSQL reads it: bytes in hexadecimal."""
    return "\\x" + value.hex() if isinstance(value, bytes) else value

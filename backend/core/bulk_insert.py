"""Insert many rows by one statement whose text does not depend on their number.

The rows are sent as one JSON document. A statement with a parameter for every value is compiled, parsed and planned
again for each number of rows; for some hundred rows that takes longer than storing them.
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
    on_conflict: str = "",
    returning: Sequence[str] = (),
) -> Sequence[Row[Any]]:
    """Insert rows that all have the same columns. `on_conflict` is SQL appended to the statement, such as ON CONFLICT.

    Returns the `returning` columns of the inserted rows, as the driver reads them. The session is flushed before;
    its objects are not refreshed.
    """
    if not rows:
        return []
    await session.flush()
    statement = _insert_statement(table.__tablename__, tuple(rows[0]), on_conflict, tuple(returning))
    result = await session.execute(statement, {"rows": f"[{','.join(map(_row_as_json, rows))}]"})
    return result.all() if returning else []


@cache
def _insert_statement(
    table: str, columns: tuple[str, ...], on_conflict: str, returning: tuple[str, ...]
) -> TextClause:
    names = ", ".join(f'"{column}"' for column in columns)
    tail = f" RETURNING {', '.join(f'{table}.{column}' for column in returning)}" if returning else ""
    return text(
        f"INSERT INTO {table} ({names}) SELECT {names}"  # noqa: S608 - names of our own tables and columns
        f" FROM jsonb_populate_recordset(CAST(NULL AS {table}), CAST(:rows AS jsonb)) {on_conflict}{tail}"
    )


class RawJson(str):
    """A value that is JSON text already and is inserted as it is."""

    __slots__ = ()


def _row_as_json(row: Mapping[str, Any]) -> str:
    values = {name: _with_hex_bytes(value) for name, value in row.items() if not isinstance(value, RawJson)}
    serialised = to_json(values, inf_nan_mode="constants").decode()
    raw = [f'"{name}":{value}' for name, value in row.items() if isinstance(value, RawJson)]
    return "{" + ",".join(part for part in (serialised[1:-1], *raw) if part) + "}" if raw else serialised


def _with_hex_bytes(value: object) -> object:
    """Bytes in hexadecimal, as PostgreSQL reads them."""
    return "\\x" + value.hex() if isinstance(value, bytes) else value

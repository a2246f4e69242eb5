"""Reading a whole database as whoever steals it would: every column of every table, as text."""

from collections.abc import Collection

from sqlalchemy import text

from backend.core.database import Database
from backend.core.tenancy import Scope

_COLUMNS = text(
    """
    SELECT format('%I.%I', n.nspname, c.relname), a.attname, quote_ident(a.attname), format_type(a.atttypid, NULL)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_t%'
    ORDER BY 1, 2
    """
)


async def columns_holding(owner: Database, needles: Collection[str]) -> set[str]:
    """The columns, as `table.column`, in which any of the texts stands in clear, alone or inside a longer value.

    Bytes are read as the ASCII that they may be; a text in them need not be valid as a whole.
    """
    holding = set()
    async with owner.transaction(Scope.none()) as session:
        for table, name, column, kind in (await session.execute(_COLUMNS)).all():
            spelt = f"encode({column}, 'escape')" if kind == "bytea" else f"CAST({column} AS text)"
            found = text(
                f"SELECT EXISTS (SELECT FROM {table} r, unnest(CAST(:needles AS text[])) n(needle)"
                f" WHERE position(n.needle IN {spelt}) > 0)"
            )
            if await session.scalar(found, {"needles": list(needles)}):
                holding.add(f"{table.removeprefix('public.')}.{name}")
    return holding

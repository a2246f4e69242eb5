"""Searching every column of every table for plain text, as an attacker with a copy of the database would."""

from collections.abc import Collection

from sqlalchemy import text

from backend.core.database import Database
from backend.core.tenancy import Scope

_TABLES = text(
    """
    SELECT format('%I.%I', n.nspname, c.relname), array_agg(a.attname::text ORDER BY a.attnum),
           array_agg(quote_ident(a.attname) ORDER BY a.attnum), array_agg(a.atttypid = 'bytea'::regtype ORDER BY a.attnum)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_t%'
    GROUP BY 1 ORDER BY 1
    """
)


async def columns_holding(owner: Database, needles: Collection[str]) -> set[str]:
    """The columns, as `table.column`, that contain one of the texts in plain text, alone or in a longer value.

    Byte columns are searched as escaped ASCII.
    """
    holding = set()
    async with owner.transaction(Scope.none()) as session:
        for table, names, columns, are_bytes in (await session.execute(_TABLES)).all():
            texts = (
                f"encode({column}, 'escape')" if of_bytes else f"CAST({column} AS text)"
                for column, of_bytes in zip(columns, are_bytes, strict=True)
            )
            matches = ", ".join(f"bool_or(position(n.needle IN {each}) > 0)" for each in texts)
            query = text(f"SELECT {matches} FROM {table} r, unnest(CAST(:needles AS text[])) n(needle)")
            answers = (await session.execute(query, {"needles": list(needles)})).one()
            name_of_table = table.removeprefix("public.")
            holding |= {
                f"{name_of_table}.{name}"
                for name, locked_student in zip(names, answers, strict=True)
                if locked_student
            }
    return holding

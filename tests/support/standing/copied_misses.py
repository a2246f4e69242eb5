"""Misses that were played once and are copied from then on.

Playing a roll call that everybody misses is hundreds of statements, and most tests of consequences begin with two of
them, on a new school, at the same hour, with nothing else recorded. So they are played once a database, by the real
services; whatever rows that wrote, in whichever tables, is what later schools get, with ids of their own. A test
compares a copy with a fresh play.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4
from weakref import WeakKeyDictionary

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.database import Database
from backend.core.ids import new_id
from tests.support.province import World

MOST = 3
"""Consecutive misses that are played in advance."""

ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
VERSION = 14
"""Where an id says how it was made."""
_NOT_COPIED = ("procrastinate_events", "outcome_count_pending", "service_heartbeat")
"""Made by triggers of the jobs and of the outcomes; and the marks of the house, which are no school's."""
_TABLES = text(
    "SELECT c.relname, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)"
    " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
    " LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum"
    " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
    " AND a.attgenerated = '' AND a.attidentity = ''"
    " AND coalesce(pg_get_expr(d.adbin, d.adrelid), '') NOT LIKE 'nextval(%'"
    " AND c.relname <> ALL (:not_copied) GROUP BY 1 ORDER BY 1"
)
_SITES = text("SELECT id, site_id FROM site_version WHERE school_id = ANY (:schools) ORDER BY id")


@dataclass(frozen=True, slots=True)
class Rows:
    """What was written since an instant: JSON of the rows by table, and a statement that adds such rows."""

    since: UUID
    texts: Mapping[str, str]
    adding: str

    @property
    def text(self) -> str:
        return "{" + ", ".join(f'"{table}": {rows}' for table, rows in self.texts.items()) + "}"


@dataclass(slots=True)
class Pattern:
    """A world of which so many misses were played, and the rows after each of them."""

    names: list[str]
    began_at: datetime
    after: list[tuple[Rows, datetime]] = field(default_factory=list)

    def renamed(self, rows: Rows, names: list[str]) -> str:
        """The rows, told of another world, every id that was made since the opening replaced in its order."""
        new = dict(zip(self.names, names, strict=True))
        for identifier in sorted({found[0] for found in ID.finditer(rows.text)} - new.keys()):
            match identifier[VERSION]:
                case "7" if identifier > str(rows.since):
                    new[identifier] = str(new_id())
                case "4":
                    new[identifier] = str(uuid4())
                case "7":
                    continue  # what all worlds stand on
                case _:
                    raise AssertionError(f"{identifier} is made of what it is about and cannot be renamed")
        longest_first = sorted(new, key=len, reverse=True)
        return re.sub("|".join(map(re.escape, longest_first)), lambda found: new[found[0]], rows.text)


async def first_transaction(session: AsyncSession) -> int:
    """The number of this transaction: what is written from now on has it or a later one."""
    return int(await session.scalar(text("SELECT pg_current_xact_id()::text::bigint & 4294967295")) or 0)


async def written(session: AsyncSession, transaction: int, since: UUID) -> Rows:
    """Every row that was added since a transaction."""
    tables = (await session.execute(_TABLES, {"not_copied": list(_NOT_COPIED)})).all()
    texts: dict[str, str] = {}
    parts: list[str] = []
    for table, columns in tables:
        found = await session.scalar(
            text(
                f"SELECT json_agg(row_to_json(t))::text FROM (SELECT {columns} FROM {table}"
                " WHERE xmin::text::bigint >= :transaction) t"
            ),
            {"transaction": transaction},
        )
        if found is not None:
            texts[table] = found
            parts.append(
                f"a{len(parts)} AS (INSERT INTO {table} ({columns}) SELECT {columns}"
                f" FROM json_populate_recordset(NULL::{table}, (SELECT rows -> '{table}' FROM given)))"
            )
    return Rows(
        since, texts, f"WITH given AS (SELECT CAST(:rows AS json) AS rows), {', '.join(parts)} SELECT 1"
    )


async def add(session: AsyncSession, pattern: Pattern, rows: Rows, world: World) -> None:
    """The rows once more, of another world."""
    await session.execute(text(rows.adding), {"rows": pattern.renamed(rows, await names_of(session, world))})


async def names_of(session: AsyncSession, world: World) -> list[str]:
    """What a world calls its own, in an order that is the same for all worlds of the same shape."""
    schools = (world.school, world.sister, world.direct)
    sites = await session.execute(_SITES, {"schools": [school.id for school in schools]})
    return [str(each) for each in (*_people(world), *(identifier for site in sites for identifier in site))]


def _people(world: World) -> Iterator[Any]:
    for school in (world.school, world.sister, world.direct):
        yield from (school.id, school.path, school.unit.name)
        for klass in school.classes:
            yield from (klass.id, klass.counselor_id)
            for pupil in klass.students:
                yield from (pupil.id, pupil.name)


_begun: WeakKeyDictionary[Database, list[int]] = WeakKeyDictionary()


def transactions_of(*databases: Database) -> int:
    """How many transactions were begun so far; the count starts when a database is first asked for."""
    return sum(_counted(database)[0] for database in databases)


def _counted(database: Database) -> list[int]:
    if database not in _begun:
        counter = _begun[database] = [0]

        @event.listens_for(database.engine.sync_engine, "begin")
        def _count(_: Any) -> None:
            counter[0] += 1

    return _begun[database]

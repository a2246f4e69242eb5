"""Recording misses once, and copying their rows for later tests.

A roll call that all students miss takes hundreds of statements, and most tests of consequences begin with two of them,
in a new school, at the same hour, with nothing else recorded. So they run once per database with the real services, and
the rows they wrote, in any table, are copied for later schools with new ids. A test compares a copy with a real run.
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
from tests.support.province import SampleProvince

MOST = 3
"""The number of consecutive misses that are recorded."""

ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
VERSION = 14
"""The position of the version digit in a UUID."""
_NOT_COPIED = ("procrastinate_events", "outcome_count_pending", "service_heartbeat")
"""Rows written by triggers of jobs and outcomes, and heartbeats of the service, which belong to no school."""
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
    """Rows as JSON by table, and a statement that inserts such rows."""

    since: UUID
    texts: Mapping[str, str]
    insert_statement: str

    @property
    def text(self) -> str:
        return "{" + ", ".join(f'"{table}": {rows}' for table, rows in self.texts.items()) + "}"


@dataclass(slots=True)
class Recording:
    """The names of a province, and its rows after each miss."""

    names: list[str]
    began_at: datetime
    after: list[tuple[Rows, datetime]] = field(default_factory=list)

    def rename(self, rows: Rows, names: list[str]) -> str:
        """The rows for another province: its names, and new ids in the same order."""
        new = dict(zip(self.names, names, strict=True))
        for identifier in sorted({match[0] for match in ID.finditer(rows.text)} - new.keys()):
            match identifier[VERSION]:
                case "7" if identifier > str(rows.since):
                    new[identifier] = str(new_id())
                case "4":
                    new[identifier] = str(uuid4())
                case "7":
                    continue  # shared by all worlds
                case _:
                    raise AssertionError(f"{identifier} is derived from content and cannot be renamed")
        longest_first = sorted(new, key=len, reverse=True)
        return re.sub("|".join(map(re.escape, longest_first)), lambda match: new[match[0]], rows.text)


async def first_transaction(session: AsyncSession) -> int:
    """The number of this transaction. Rows written from now on have it or a later one."""
    return int(await session.scalar(text("SELECT pg_current_xact_id()::text::bigint & 4294967295")) or 0)


async def load_written(session: AsyncSession, transaction: int, since: UUID) -> Rows:
    """Every row added since a transaction."""
    tables = (await session.execute(_TABLES, {"not_copied": list(_NOT_COPIED)})).all()
    texts: dict[str, str] = {}
    parts: list[str] = []
    for table, columns in tables:
        rows = await session.scalar(
            text(
                f"SELECT json_agg(row_to_json(t))::text FROM (SELECT {columns} FROM {table}"
                " WHERE xmin::text::bigint >= :transaction) t"
            ),
            {"transaction": transaction},
        )
        if rows is not None:
            texts[table] = rows
            parts.append(
                f"a{len(parts)} AS (INSERT INTO {table} ({columns}) SELECT {columns}"
                f" FROM json_populate_recordset(NULL::{table}, (SELECT rows -> '{table}' FROM given)))"
            )
    return Rows(
        since, texts, f"WITH given AS (SELECT CAST(:rows AS json) AS rows), {', '.join(parts)} SELECT 1"
    )


async def add(session: AsyncSession, recording: Recording, rows: Rows, world: SampleProvince) -> None:
    """Insert the rows for another province."""
    await session.execute(
        text(rows.insert_statement), {"rows": recording.rename(rows, await load_names(session, world))}
    )


async def load_names(session: AsyncSession, world: SampleProvince) -> list[str]:
    """Ids and names of a province, in an order that is the same for all provinces."""
    schools = (world.school, world.sister, world.direct)
    sites = await session.execute(_SITES, {"schools": [school.id for school in schools]})
    return [str(each) for each in (*_people(world), *(identifier for site in sites for identifier in site))]


def _people(world: SampleProvince) -> Iterator[Any]:
    for school in (world.school, world.sister, world.direct):
        yield from (school.id, school.path, school.unit.name)
        for klass in school.classes:
            yield from (klass.id, klass.counselor_id)
            for pupil in klass.students:
                yield from (pupil.id, pupil.name)


_counters: WeakKeyDictionary[Database, list[int]] = WeakKeyDictionary()


def count_transactions(*databases: Database) -> int:
    """The number of transactions begun so far, counted from the first call for a database."""
    return sum(_counter(database)[0] for database in databases)


def _counter(database: Database) -> list[int]:
    if database not in _counters:
        counter = _counters[database] = [0]

        @event.listens_for(database.engine.sync_engine, "begin")
        def _count(_: Any) -> None:
            counter[0] += 1

    return _counters[database]

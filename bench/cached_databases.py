"""Databases of benchmarks that take long to fill: reused between runs until the code that fills them changes."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import psycopg
from alembic import command

from backend.commands.deployment.migrate_command import alembic_config
from backend.devstack.services import Stack, create_database, drop_database

ROOT = Path(__file__).resolve().parents[1]
Server = psycopg.Connection[tuple[str, ...]]
Say = Callable[[str], object]

IDS = """
CREATE FUNCTION pg_temp.id(kind int, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN CAST('018f' || lpad(to_hex(kind), 4, '0') || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0') AS uuid)
"""
"""Ids by kind and number. Kinds: 1 unit, 2 class, 3 student, 4 term, 5 roll call, 6 leave, 7 message, 8 notice,
9 account, 10 site version, 11 site, 12 submission."""


def open_cached_database(
    stack: Stack, name: str, fill_module: Path, fill: Callable[[Server], None], say: Say
) -> Stack:
    """Return the database, migrated and filled. It is rebuilt, and its old versions dropped, if the code has changed."""
    files = [*sorted((ROOT / "migrations").rglob("*.py")), Path(__file__), fill_module]
    version = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]
    wanted = f"{name}_{version}"
    with psycopg.connect(stack.superuser_dsn, autocommit=True) as server:
        query = "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"
        existing = {row[0] for row in server.execute(query, [f"{name}_"])}
    for other in existing - {wanted}:
        drop_database(stack, other)
    target = Stack(stack.sockets, stack.redis, stack.programs, wanted)
    if wanted not in existing or not _is_complete(target):
        drop_database(stack, wanted)
        create_database(stack, wanted)
        say(f"building {name}")
        command.upgrade(alembic_config(target.owner_url), "heads")
        with psycopg.connect(target.superuser_dsn, autocommit=True) as server:
            # Foreign keys hold by construction. Checking millions of them one by one would take the longest.
            server.execute("SET session_replication_role = replica")
            server.execute("SET synchronous_commit = off")
            server.execute("SET maintenance_work_mem = '512MB'")
            server.execute(IDS)
            fill(server)
            server.execute("VACUUM ANALYZE")
            server.execute("CREATE TABLE bench_is_whole ()")
    return target


def _is_complete(stack: Stack) -> bool:
    with psycopg.connect(stack.superuser_dsn) as server:
        row = server.execute("SELECT to_regclass('bench_is_whole')").fetchone()
    return row is not None and row[0] is not None


def drop_indexes(server: Server, table: str) -> list[str]:
    """Drop all indexes of a table except those of constraints. Returns the statements that create them again.

    Loading first and indexing afterwards is several times faster.
    """
    rows = server.execute(
        "SELECT pg_get_indexdef(i.indexrelid), CAST(i.indexrelid AS regclass)::text FROM pg_index i"
        " WHERE i.indrelid = CAST(%s AS regclass)"
        " AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)",
        [table],
    ).fetchall()
    for _, name in rows:
        server.execute(f"DROP INDEX {name}")
    return [definition.replace(" ON ONLY ", " ON ") for definition, _ in rows]

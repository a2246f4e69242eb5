"""Every index serves a question of the product: PostgreSQL itself says so. One that serves none only slows writing down."""

import importlib
import inspect
import os
import re
from collections.abc import Iterator
from functools import reduce
from typing import Any

import psycopg
import pytest
from psycopg import Connection, sql

from tests.conftest import SUPERUSER
from tests.core.index_usage import ASKED

INDEXES = """
SELECT i.relname, a.attname FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_class t ON t.oid = x.indrelid
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0]
WHERE t.relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg\\_%' OR nspname = 'information_schema')
  AND NOT x.indisunique AND NOT x.indisexclusion AND NOT t.relispartition
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = t.oid AND d.deptype = 'e')
  AND t.relname NOT LIKE 'procrastinate\\_%'
"""
"""Of our own tables, with the first column of each. A partition's are found under the name of the whole table's."""
PARTS = """
SELECT p.relname, w.relname FROM pg_inherits h
JOIN pg_class p ON p.oid = h.inhrelid JOIN pg_class w ON w.oid = h.inhparent
"""
TERM = """
INSERT INTO term (id, org_id, code, starts_on, ends_on, created_at)
VALUES (gen_random_uuid(), gen_random_uuid(), '2026-spring', '2026-02-01', '2026-07-31', now())
"""
"""Without the unit that it is of: only the partitions matter here."""


@pytest.fixture(scope="module")
def schema(template_database: str, worker_id: str) -> Iterator[Connection[Any]]:
    """The migrated schema with one term's partitions, empty; a planner that takes an index wherever it can."""
    name = f"{template_database}_{worker_id}_indexes"
    identifier = sql.Identifier(name)
    with psycopg.connect(os.environ[SUPERUSER], dbname="postgres", autocommit=True) as server:
        template = sql.Identifier(template_database)
        server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(identifier, template))
        try:
            with psycopg.connect(os.environ[SUPERUSER], dbname=name, autocommit=True) as connection:
                connection.prepare_threshold = None  # the driver's own would be forgotten with ours
                connection.execute("SET session_replication_role = replica")
                connection.execute(TERM)
                connection.execute("SELECT definer.make_term_partitions()")
                connection.execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan")
                yield connection
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


@pytest.fixture(scope="module")
def indexes(schema: Connection[Any]) -> dict[str, str]:
    return dict(schema.execute(INDEXES).fetchall())


@pytest.fixture(scope="module")
def whole(schema: Connection[Any]) -> dict[str, str]:
    """The index of the whole table, by the name of its part of a partition."""
    return dict(schema.execute(PARTS).fetchall())


def used(node: dict[str, Any]) -> Iterator[str]:
    """The indexes of a plan."""
    if "Index Name" in node:
        yield node["Index Name"]
    for part in node.get("Plans", ()):
        yield from used(part)


def source(schema: Connection[Any], who: str) -> str:
    """What the one who asks is made of."""
    if who.startswith("policy of "):
        table = who.removeprefix("policy of ")
        rows = schema.execute(
            "SELECT qual FROM pg_policies WHERE tablename = %s AND qual IS NOT NULL", (table,)
        )
        return " ".join(row[0] for row in rows)
    if ":" not in who:
        (definition,) = schema.execute("SELECT pg_get_functiondef(CAST(%s AS regproc))", (who,)).fetchall()
        return str(definition[0])
    module, path = who.split(":")
    found: Any = reduce(getattr, path.split("."), importlib.import_module(module))
    return inspect.getsource(getattr(found, "fget", found))  # of a property, what is behind it


def test_every_index_has_somebody_who_asks_for_it(indexes: dict[str, str]) -> None:
    without = sorted(indexes.keys() - ASKED.keys())
    assert not without, (
        f"no question of the product is known for {without}: name it in tests/core/index_usage.py,"
        " or take the index out of its migration and its table"
    )
    assert not ASKED.keys() - indexes.keys(), (
        "these are no longer in the schema: take their questions out too"
    )


@pytest.mark.parametrize("name", ASKED)
def test_an_index_is_what_its_question_is_answered_by(
    schema: Connection[Any], whole: dict[str, str], name: str
) -> None:
    _, question = ASKED[name]
    unknowns = sorted(set(re.findall(r"\$\d", question)))
    schema.execute("DEALLOCATE ALL")
    schema.execute(f"PREPARE asked AS SELECT count(*) FROM (SELECT 1 FROM {question}) AS found".encode())
    given = f"({', '.join('NULL' for _ in unknowns)})" if unknowns else ""
    (row,) = schema.execute(f"EXPLAIN (FORMAT JSON) EXECUTE asked{given}".encode()).fetchall()
    assert name in {whole.get(each, each) for each in used(row[0][0]["Plan"])}


@pytest.mark.parametrize("name", ASKED)
def test_whoever_is_said_to_ask_asks_by_the_first_column(
    schema: Connection[Any], indexes: dict[str, str], name: str
) -> None:
    who, _ = ASKED[name]
    assert re.search(rf"\b{indexes[name]}\b", source(schema, who)), f"{who} does not ask by {indexes[name]}"

"""Every index is used by a query of the product, as PostgreSQL's planner confirms; an unused one only slows down writes."""

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
from tests.core.index_usage import INDEX_USES

INDEXES = """
SELECT i.relname, coalesce(a.attname, (regexp_match(pg_get_expr(x.indexprs, x.indrelid), '\\(([a-z_]+)'))[1])
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_class t ON t.oid = x.indrelid
LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0]
WHERE t.relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg\\_%' OR nspname = 'information_schema')
  AND NOT x.indisunique AND NOT x.indisexclusion AND NOT t.relispartition
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = t.oid AND d.deptype = 'e')
  AND t.relname NOT LIKE 'procrastinate\\_%'
"""
"""Indexes of our own tables with their first column, that of an expression too. Indexes of partitions are found under the partitioned table's."""
PARTITION_INDEXES = """
SELECT p.relname, w.relname FROM pg_inherits h
JOIN pg_class p ON p.oid = h.inhrelid JOIN pg_class w ON w.oid = h.inhparent
"""
TERM = """
INSERT INTO term (id, org_id, code, starts_on, ends_on, created_at)
VALUES (gen_random_uuid(), gen_random_uuid(), '2026-spring', '2026-02-01', '2026-07-31', now())
"""
"""Without its unit: only the partitions matter here."""


@pytest.fixture(scope="module")
def schema(template_database: str, worker_id: str) -> Iterator[Connection[Any]]:
    """The empty migrated schema with the partitions of one term, and a planner that prefers indexes."""
    name = f"{template_database}_{worker_id}_indexes"
    identifier = sql.Identifier(name)
    with psycopg.connect(os.environ[SUPERUSER], dbname="postgres", autocommit=True) as server:
        template = sql.Identifier(template_database)
        server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(identifier, template))
        try:
            with psycopg.connect(os.environ[SUPERUSER], dbname=name, autocommit=True) as connection:
                connection.prepare_threshold = (
                    None  # DEALLOCATE ALL below would drop the driver's prepared statements
                )
                connection.execute("SET session_replication_role = replica")
                connection.execute(TERM)
                connection.execute("SELECT definer.create_missing_term_partitions()")
                connection.execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan")
                yield connection
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


@pytest.fixture(scope="module")
def indexes(schema: Connection[Any]) -> dict[str, str]:
    return dict(schema.execute(INDEXES).fetchall())


@pytest.fixture(scope="module")
def partitioned_indexes(schema: Connection[Any]) -> dict[str, str]:
    """The index of the partitioned_indexes table, by the name of its part of a partition."""
    return dict(schema.execute(PARTITION_INDEXES).fetchall())


def used_indexes(node: dict[str, Any]) -> Iterator[str]:
    """The indexes that a plan uses."""
    if "Index Name" in node:
        yield node["Index Name"]
    for part in node.get("Plans", ()):
        yield from used_indexes(part)


def source_code(schema: Connection[Any], user: str) -> str:
    """The source of a user of an index: policy, database function or Python function."""
    if user.startswith("policy of "):
        table = user.removeprefix("policy of ")
        rows = schema.execute(
            "SELECT qual FROM pg_policies WHERE tablename = %s AND qual IS NOT NULL", (table,)
        )
        return " ".join(row[0] for row in rows)
    if ":" not in user:
        (definition,) = schema.execute("SELECT pg_get_functiondef(CAST(%s AS regproc))", (user,)).fetchall()
        return str(definition[0])
    module, path = user.split(":")
    function: Any = reduce(getattr, path.split("."), importlib.import_module(module))
    return inspect.getsource(getattr(function, "fget", function))  # the function of a property


def test_every_index_has_a_documented_use(indexes: dict[str, str]) -> None:
    undocumented = sorted(indexes.keys() - INDEX_USES.keys())
    assert not undocumented, (
        f"no query of the product is known for {undocumented}: add it to tests/core/index_usage.py,"
        " or remove the index from its migration and its table"
    )
    assert not INDEX_USES.keys() - indexes.keys(), (
        "these are no longer in the schema: remove their queries, too"
    )


@pytest.mark.parametrize("name", INDEX_USES)
def test_planner_uses_the_index_for_its_query(
    schema: Connection[Any], partitioned_indexes: dict[str, str], name: str
) -> None:
    _, query = INDEX_USES[name]
    parameters = sorted(set(re.findall(r"\$\d", query)))
    schema.execute("DEALLOCATE ALL")
    schema.execute(f"PREPARE index_use AS SELECT count(*) FROM (SELECT 1 FROM {query}) AS rows".encode())
    values = f"({', '.join('NULL' for _ in parameters)})" if parameters else ""
    (row,) = schema.execute(f"EXPLAIN (FORMAT JSON) EXECUTE index_use{values}".encode()).fetchall()
    assert name in {partitioned_indexes.get(each, each) for each in used_indexes(row[0][0]["Plan"])}


@pytest.mark.parametrize("name", INDEX_USES)
def test_documented_user_filters_by_the_first_column(
    schema: Connection[Any], indexes: dict[str, str], name: str
) -> None:
    user, _ = INDEX_USES[name]
    assert re.search(rf"\b{indexes[name]}\b", source_code(schema, user)), (
        f"{user} does not filter by {indexes[name]}"
    )

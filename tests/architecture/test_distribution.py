"""Conditions for distributing rows over several machines by school (docs/scale.md)."""

import pytest
from sqlalchemy import ForeignKeyConstraint, Table, UniqueConstraint

from backend.tables import METADATA

DISTRIBUTED_TABLES = {
    name
    for name, table in METADATA.tables.items()
    if table.dialect_options["postgresql"]["partition_by"] == "LIST (term_code)"
} | {"roll_call_school", "outcome_count", "outcome_count_pending", "outcome_minute"}
"""Tables that grow with roll calls; they are distributed by school."""
REPLICATED_TABLES = {"roll_call"}
"""Small tables with a copy on each machine."""


def unique_keys(table: Table) -> list[set[str]]:
    keys = [{column.name for column in table.primary_key}]
    keys += [
        {column.name for column in each.columns}
        for each in table.constraints
        if isinstance(each, UniqueConstraint)
    ]
    return keys + [{column.name for column in index.columns} for index in table.indexes if index.unique]


@pytest.mark.parametrize("name", sorted(DISTRIBUTED_TABLES))
def test_unique_keys_of_distributed_tables_contain_the_school(name: str) -> None:
    assert all("school_id" in key for key in unique_keys(METADATA.tables[name]))


@pytest.mark.parametrize("name", sorted(DISTRIBUTED_TABLES))
def test_distributed_tables_refer_to_the_same_school_or_replicated(name: str) -> None:
    for constraint in METADATA.tables[name].constraints:
        if isinstance(constraint, ForeignKeyConstraint):
            referred, columns = constraint.referred_table.name, {column.name for column in constraint.columns}
            assert referred in REPLICATED_TABLES or (
                referred in DISTRIBUTED_TABLES and "school_id" in columns
            )


def test_replicated_tables_refer_to_no_distributed_table() -> None:
    for name in REPLICATED_TABLES:
        referred = {key.column.table.name for key in METADATA.tables[name].foreign_keys}
        assert referred.isdisjoint(DISTRIBUTED_TABLES)

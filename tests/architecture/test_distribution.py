"""What must hold before rows are spread over several machines by school (docs/scale.md)."""

import pytest
from sqlalchemy import ForeignKeyConstraint, Table, UniqueConstraint

from backend.tables import METADATA

BY_SCHOOL = {
    name
    for name, table in METADATA.tables.items()
    if table.dialect_options["postgresql"]["partition_by"] == "LIST (term_code)"
} | {"roll_call_school", "outcome_count", "outcome_count_pending"}
"""The tables that grow with roll calls."""
EVERYWHERE = {"roll_call"}
"""Small and the same for everybody: a copy on each machine."""


def unique_keys(table: Table) -> list[set[str]]:
    keys = [{column.name for column in table.primary_key}]
    keys += [
        {column.name for column in each.columns}
        for each in table.constraints
        if isinstance(each, UniqueConstraint)
    ]
    return keys + [{column.name for column in index.columns} for index in table.indexes if index.unique]


@pytest.mark.parametrize("name", sorted(BY_SCHOOL))
def test_every_unique_key_of_what_is_spread_carries_the_school(name: str) -> None:
    assert all("school_id" in key for key in unique_keys(METADATA.tables[name]))


@pytest.mark.parametrize("name", sorted(BY_SCHOOL))
def test_what_is_spread_refers_to_rows_of_the_same_school_or_to_what_is_everywhere(name: str) -> None:
    for constraint in METADATA.tables[name].constraints:
        if isinstance(constraint, ForeignKeyConstraint):
            referred, columns = constraint.referred_table.name, {column.name for column in constraint.columns}
            assert referred in EVERYWHERE or (referred in BY_SCHOOL and "school_id" in columns)


def test_what_is_everywhere_refers_to_nothing_that_is_spread() -> None:
    for name in EVERYWHERE:
        referred = {key.column.table.name for key in METADATA.tables[name].foreign_keys}
        assert referred.isdisjoint(BY_SCHOOL)

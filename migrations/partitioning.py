"""Tables partitioned by term: the rows of each term are in a partition of their own, created when the term is opened.

The partitions are in the schema `term_partition`, which the application cannot use, so that every query goes through
the parent table and its row-level security. There is no default partition: inserting a row of an unknown term fails.
"""

from typing import Any

from sqlalchemy import ForeignKeyConstraint

BY_TERM = "LIST (term_code)"
PARTITION_SCHEMA = "term_partition"


def is_not_partition_key(item: Any, _name: str | None, _kind: str, _reflected: bool, _other: Any) -> bool:  # noqa: FBT001 - alembic's signature
    """For alembic's `include_object`: ignores the copy of a foreign key that PostgreSQL adds for each partition."""
    return not isinstance(item, ForeignKeyConstraint) or item.referred_table.schema != PARTITION_SCHEMA

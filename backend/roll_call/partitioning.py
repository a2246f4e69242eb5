"""Helpers for tables that are partitioned by term.

Tables that grow with students and roll calls have one partition per term, created in the transaction that opens the
term. Therefore `term_code` is part of every key, and so is `school_id`, by which rows could be distributed over several
machines. The mappers use the narrower key that identifies a row already: a student has one obligation per roll call, and
a roll call one term. A statement that does not name the term scans all partitions.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, ForeignKeyConstraint
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from backend.core.tenancy import scope_of

PARTITION_BY_TERM = {"postgresql_partition_by": "LIST (term_code)"}
"""Last item of `__table_args__` of a partitioned table."""


def mapper_key(*columns: str) -> dict[str, Any]:
    """`__mapper_args__` with the columns that identify a row."""
    return {"primary_key": list(columns)}


def roll_call_foreign_key() -> ForeignKeyConstraint:
    """Foreign key to the roll call that includes the term, so that a row cannot be in another term's partition."""
    return ForeignKeyConstraint(["roll_call_id", "term_code"], ["roll_call.id", "roll_call.term_code"])


def submission_foreign_key() -> ForeignKeyConstraint:
    """Foreign key to a submission of the same school and term."""
    return ForeignKeyConstraint(
        ["submission_id", "school_id", "term_code"],
        ["submission.id", "submission.school_id", "submission.term_code"],
    )


def own_school_filter(
    session: AsyncSession, school: InstrumentedAttribute[UUID]
) -> Sequence[ColumnElement[bool]]:
    """Condition for the school of the session's scope; empty if the scope is wider than a school.

    Row-level security hides other schools anyway, but only a condition in the statement can route it to one machine.
    """
    school_id = scope_of(session).school_id
    return () if school_id is None else (school == school_id,)

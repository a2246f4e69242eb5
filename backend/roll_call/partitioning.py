"""What grows with students and roll calls is kept by term: each term has a partition of its own in every such table.

The partitions are made in the transaction that opens the term. So `term_code` is in every key, beside `school_id`, by
which the rows would be spread over several machines. The mappers go by the narrower key that says the same: a student
has one obligation in a roll call, and a roll call one term. A statement that does not name the term looks through all.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, ForeignKeyConstraint
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from backend.core.tenancy import scope_of

PARTITION_BY_TERM = {"postgresql_partition_by": "LIST (term_code)"}
"""The last argument of a table that is kept by term."""


def mapper_key(*columns: str) -> dict[str, Any]:
    """The mapper's arguments: the columns that alone tell one row from another."""
    return {"primary_key": list(columns)}


def of_roll_call() -> ForeignKeyConstraint:
    """With the term, so that no row lies in another term's partition than its roll call."""
    return ForeignKeyConstraint(["roll_call_id", "term_code"], ["roll_call.id", "roll_call.term_code"])


def of_submission() -> ForeignKeyConstraint:
    """A submission of the same school and term."""
    return ForeignKeyConstraint(
        ["submission_id", "school_id", "term_code"],
        ["submission.id", "submission.school_id", "submission.term_code"],
    )


def of_own_school(
    session: AsyncSession, school: InstrumentedAttribute[UUID]
) -> Sequence[ColumnElement[bool]]:
    """The school of the session's scope, if it has one, said in the statement itself.

    The policies hide the rows of other schools anyway; but only what a statement names leads it to one machine.
    """
    school_id = scope_of(session).school_id
    return () if school_id is None else (school == school_id,)

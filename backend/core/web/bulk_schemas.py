"""Requests and responses of bulk acts."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field

from backend.core.bulk import RowResult
from backend.core.errors import DomainError
from backend.core.web.schema_types import OneOf

MAX_ROWS = 100
"""Rows of one request; docs/api.md states it."""

Ids = Annotated[
    list[UUID],
    Field(
        min_length=1,
        max_length=MAX_ROWS,
        description="重复的编号按一行办理 · an id that is repeated is one row",
    ),
]


class RowOutcome(StrEnum):
    """What became of a row."""

    DONE = "done"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


class RowErrorOut(BaseModel):
    """Why a row was refused, as the same act on this row alone would say."""

    code: str = Field(description="stable code of docs/errors.md", examples=["not_found"])
    status: int = Field(examples=[404])
    zh: str = Field(examples=["没有找到，或您无权查看。请核对编号。"])
    en: str = Field(examples=["Not found, or not yours to see. Check the identifier."])

    @classmethod
    def of(cls, error: DomainError) -> Self:
        return cls(code=error.code, status=error.status, zh=error.sentence("zh"), en=error.sentence("en"))


class RowOut(BaseModel):
    """The result of one row."""

    id: UUID = Field(description="请求中的编号 · the id in the request")
    outcome: Annotated[str, OneOf(RowOutcome)] = Field(
        description="已办理 done；本来如此、未作变更 unchanged；未办理 refused · unchanged: it was so already",
        examples=["done"],
    )
    error: RowErrorOut | None = Field(description="未办理的原因 · why it was refused", examples=[None])

    @classmethod
    def of(cls, row: RowResult) -> Self:
        return cls(**row_fields(row))


class BulkOut(BaseModel):
    """One result a row, in the order of the request, and how many there are of each."""

    rows: list[RowOut]
    done: int = Field(examples=[1])
    unchanged: int = Field(examples=[0])
    refused: int = Field(examples=[0])

    @classmethod
    def of(cls, results: Iterable[RowResult]) -> Self:
        rows = [RowOut.of(each) for each in results]
        return cls(rows=rows, **count_outcomes(rows))


def row_fields(row: RowResult) -> dict[str, object]:
    """The fields of `RowOut` for a result."""
    if row.error is not None:
        outcome = RowOutcome.REFUSED
    else:
        outcome = RowOutcome.DONE if row.changed else RowOutcome.UNCHANGED
    return {"id": row.id, "outcome": outcome, "error": RowErrorOut.of(row.error) if row.error else None}


def count_outcomes(rows: Iterable[RowOut]) -> dict[str, int]:
    """The fields of `BulkOut` that count rows."""
    outcomes = [row.outcome for row in rows]
    return {outcome.value: outcomes.count(outcome) for outcome in RowOutcome}

"""Cursor pagination of the staff API. Queries load one row more than the limit, to know whether a page follows."""

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Query

from backend.core.pagination import Page, decode_cursor, encode_cursor, parse_id

Row = TypeVar("Row")
Item = TypeVar("Item")

SearchText = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=100,
        pattern=r"^[^\x00]+$",
        description="查找内容 · the text to search for",
        examples=["郑州"],
    ),
]

UnitFilter = Annotated[
    UUID | None,
    Query(
        description="只列某市、县（市、区）或学校的，限本单位及下级 · only of this city, county or school: the own unit or"
        " one below"
    ),
]


def cursor_key(cursor: str | None) -> str | None:
    """The sort key in a cursor."""
    return None if cursor is None else decode_cursor(cursor, 1)[0]


def cursor_id(cursor: str | None) -> UUID | None:
    """The id in a cursor of a list ordered by id; raises `CursorInvalid` for a malformed one."""
    key = cursor_key(cursor)
    return None if key is None else parse_id(key)


def build_page(
    rows: Sequence[Row], limit: int, render: Callable[[Row], Item], key: Callable[[Row], object]
) -> Page[Item]:
    """The page of the first `limit` rows; `rows` has one more if another page follows."""
    page_rows = rows[:limit]
    next_cursor = encode_cursor(str(key(page_rows[-1]))) if len(rows) > limit else None
    return Page(items=[render(row) for row in page_rows], next_cursor=next_cursor)

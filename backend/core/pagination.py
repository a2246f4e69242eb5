"""Cursor pagination: opaque cursors that stay valid when rows are inserted; no offsets."""

import base64
import binascii
import json
from datetime import datetime
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, Field
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.errors import DomainError
from backend.core.web.schema_types import is_storable

Item = TypeVar("Item")
MAX_PAGE = 200

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="每页条数 · items per page")]
Cursor = Annotated[
    str | None,
    Query(max_length=1500, description="上一页返回的 next_cursor · the next_cursor of the previous page"),
]


class CursorInvalid(DomainError):
    """The cursor did not come from this list."""

    code = "cursor_invalid"
    status = 422
    zh = "cursor 不是本接口返回的 next_cursor，请从第一页重新开始。"
    en = "The cursor is not a next_cursor of this list; start again from the first page."


class Page(BaseModel, Generic[Item]):
    """One page of a list. `next_cursor` is null on the last page."""

    items: list[Item]
    next_cursor: str | None = Field(default=None, examples=[None])


MAX_COUNT = 1000


async def count_ids(session: AsyncSession, ids: Select[UUID]) -> int:
    """How many rows a query of ids finds, counted up to `MAX_COUNT`, so that a count is as cheap as a few pages."""
    return len((await session.scalars(ids.order_by(None).limit(MAX_COUNT))).all())


def encode_cursor(*keys: str) -> str:
    """The cursor of the page after the row with these sort keys."""
    return base64.urlsafe_b64encode(json.dumps(keys, ensure_ascii=False).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, parts: int) -> list[str]:
    """The sort keys in a cursor of `parts` keys. Raises `CursorInvalid` if the cursor is invalid."""
    try:
        keys = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as error:
        raise CursorInvalid from error
    if not isinstance(keys, list) or len(keys) != parts or not all(isinstance(key, str) for key in keys):
        raise CursorInvalid
    if not all(is_storable(key) for key in keys):
        raise CursorInvalid
    return keys


def parse_id(key: str) -> UUID:
    """Parse a sort key that is an identifier. Raises `CursorInvalid`."""
    try:
        return UUID(key)
    except ValueError as error:
        raise CursorInvalid from error


def decode_time_cursor(cursor: str | None) -> tuple[datetime, UUID] | None:
    """The sort keys of a list ordered by time and identifier; None for the first page. Raises `CursorInvalid`."""
    if cursor is None:
        return None
    instant, key = decode_cursor(cursor, 2)
    try:
        at = datetime.fromisoformat(instant)
    except ValueError as error:
        raise CursorInvalid from error
    if at.tzinfo is None:
        raise CursorInvalid
    return at, parse_id(key)

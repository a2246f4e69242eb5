"""The sorts that a list offers, and the position of a row in a sort, which a cursor names.

A sort is a column and the id, so that rows with an equal value have an order too. `name` is ascending, `-name` descending.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute

from backend.core.errors import DomainError
from backend.core.pagination import CursorInvalid, decode_cursor, encode_cursor, parse_id

Column = ColumnElement[Any] | InstrumentedAttribute[Any]

NAME_COLLATION = "zh-x-icu"
"""Orders Chinese names by their pinyin, as people look for them."""


class CursorOfOtherSort(DomainError):
    """The cursor belongs to another sort of the list."""

    code = "cursor_of_other_sort"
    status = 422
    zh = "cursor 属于另一种排序。更换排序后请从第一页开始。"
    en = "The cursor belongs to another sort; start from the first page after you changed the sort."


def by_name(column: InstrumentedAttribute[str]) -> ColumnElement[str]:
    """A column of names in the order of `NAME_COLLATION`."""
    return column.collate(NAME_COLLATION)


@dataclass(frozen=True, slots=True)
class Position:
    """The sort keys of a row: the value of the sorted column, and the id."""

    value: Any
    id: UUID


@dataclass(frozen=True, slots=True)
class ListSorts:
    """The sorts of a list by their names without sign. A column must not be null. `id` breaks ties."""

    id: InstrumentedAttribute[UUID] | ColumnElement[UUID]
    columns: Mapping[str, Column]
    default: str

    @property
    def names(self) -> tuple[str, ...]:
        """The names that a request may use."""
        return tuple(sign + name for name in self.columns for sign in ("", "-"))

    def column(self, sort: str) -> Column:
        """The column of a sort."""
        return self.columns[sort.removeprefix("-")]


def is_descending(sort: str) -> bool:
    """Whether the sort has the largest value first."""
    return sort.startswith("-")


def encode_position(sort: str, position: Position) -> str:
    """The cursor of the page after a row."""
    value = position.value
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return encode_cursor(sort, text, str(position.id))


def decode_position(cursor: str, sort: str, column: Column) -> Position:
    """The position in a cursor. Raises `CursorInvalid`, `CursorOfOtherSort`."""
    of_sort, value, id_ = decode_cursor(cursor, 3)
    if of_sort != sort:
        raise CursorOfOtherSort
    return Position(_parse(value, column), parse_id(id_))


def decode_keys(cursor: str, sort: str, count: int) -> list[str]:
    """The `count` keys in a cursor of a sort by more than one column. Raises `CursorInvalid`, `CursorOfOtherSort`."""
    of_sort, *keys = decode_cursor(cursor, count + 1)
    if of_sort != sort:
        raise CursorOfOtherSort
    return keys


def _parse(text: str, column: Column) -> Any:
    parse = _PARSERS.get(column.type.python_type)
    if parse is None:
        raise TypeError(f"lists cannot be sorted by {column.type!r}")
    try:
        return parse(text)
    except ValueError as error:
        raise CursorInvalid from error


def _parse_instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(text)
    return instant


def _parse_number(text: str) -> int:
    number = int(text)
    if not -(2**31) <= number < 2**31:
        raise ValueError(text)
    return number


_PARSERS: Mapping[type[Any], Callable[[str], Any]] = {
    str: str,
    int: _parse_number,
    UUID: parse_id,
    datetime: _parse_instant,
}

"""Pages of a list: the rows after a cursor in a sort, and on request the number of all rows."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar, TypeVarTuple

from fastapi import Query
from pydantic import BaseModel, Field
from sqlalchemy import Select, func, literal, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.listing.sorts import ListSorts, Position, decode_position, encode_position, is_descending
from backend.core.pagination import Page

Row = TypeVar("Row")
Other = TypeVar("Other")
Item = TypeVar("Item")
Columns = TypeVarTuple("Columns")

MAX_TOTAL = 10_000
"""Rows are counted up to this number, so that the total of a province costs little more than a page."""

WithTotal = Annotated[
    bool,
    Query(
        description=f"同时返回总数；没有现成计数的，最多数到 {MAX_TOTAL} · with the number of all rows; where no counter knows"
        f" it, they are counted up to {MAX_TOTAL}"
    ),
]


class Total(BaseModel):
    """How many rows the filters find. If not `is_exact`, there are more than `count`."""

    count: int = Field(examples=[1234])
    is_exact: bool = Field(examples=[True])


class CountedPage(Page[Item], Generic[Item]):
    """One page of a list. `total` is null unless it was asked for with `total=true`."""

    total: Total | None = Field(default=None, examples=[None])


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page of a list: at most `limit` rows after the cursor, in a sort or the default one of the list."""

    limit: int
    cursor: str | None = None
    sort: str | None = None
    with_total: bool = False


@dataclass(frozen=True, slots=True)
class ListPage(Generic[Row]):
    """The rows of a page. `next_cursor` is None on the last page, `total` if it was not asked for."""

    rows: Sequence[Row]
    next_cursor: str | None = None
    total: Total | None = None

    def with_rows(self, rows: Sequence[Other]) -> "ListPage[Other]":
        """The same page with other rows."""
        return ListPage(rows, self.next_cursor, self.total)

    def render(self, render: Callable[[Row], Item]) -> Page[Item]:
        """The page as an API returns it that does not count."""
        return Page[Item](items=[render(row) for row in self.rows], next_cursor=self.next_cursor)

    def render_counted(self, render: Callable[[Row], Item]) -> CountedPage[Item]:
        """The page with its total, if it was asked for, as the API returns it."""
        items = [render(row) for row in self.rows]
        return CountedPage[Item](items=items, next_cursor=self.next_cursor, total=self.total)


async def load_page(
    session: AsyncSession, query: Select[*tuple[Any, ...]], sorts: ListSorts, request: PageRequest
) -> ListPage[tuple[Any, ...]]:
    """The page of a query without order and limit. Raises `CursorInvalid`, `CursorOfOtherSort`."""
    sort = request.sort or sorts.default
    keys = (sorts.column(sort).label("sort_value"), sorts.id.label("sort_id"))
    found = (await session.execute(select_page(query.add_columns(*keys), sorts, request))).all()
    shown = found[: request.limit]
    next_cursor = None
    if len(found) > request.limit:
        next_cursor = encode_position(sort, Position(*shown[-1][-2:]))
    total = await count_rows(session, query, sorts) if request.with_total else None
    return ListPage([tuple(row[:-2]) for row in shown], next_cursor, total)


def select_page(query: Select[*Columns], sorts: ListSorts, request: PageRequest) -> Select[*Columns]:
    """The rows of a page and one more, which tells that a page follows. Raises as `load_page`."""
    sort = request.sort or sorts.default
    column = sorts.column(sort)
    if request.cursor is not None:
        after = decode_position(request.cursor, sort, column)
        keys = tuple_(column, sorts.id)
        position = tuple_(literal(after.value, column.type), literal(after.id, sorts.id.type))
        query = query.where(keys < position if is_descending(sort) else keys > position)
    order = (column.desc(), sorts.id.desc()) if is_descending(sort) else (column, sorts.id)
    return query.order_by(*order).limit(request.limit + 1)


@asynccontextmanager
async def reading_in_index_order(session: AsyncSession) -> AsyncIterator[None]:
    """Make the planner read rows in the order of an index instead of sorting all of them.

    It expects the conditions of row-level security to admit a two hundredth of the rows. Of a province it would
    therefore sort every row to return fifty. Only for lists whose filters admit many of the rows of the index.
    """
    await session.execute(text("SET LOCAL enable_sort = off"))
    yield
    await session.execute(text("SET LOCAL enable_sort TO DEFAULT"))


async def count_rows(session: AsyncSession, query: Select[*tuple[Any, ...]], sorts: ListSorts) -> Total:
    """The number of rows of a query, counted up to `MAX_TOTAL`."""
    ids = query.with_only_columns(sorts.id).order_by(None).limit(MAX_TOTAL + 1).subquery()
    count = await session.scalar(select(func.count()).select_from(ids)) or 0
    return Total(count=min(count, MAX_TOTAL), is_exact=count <= MAX_TOTAL)

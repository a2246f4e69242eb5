"""Pages of lists over the real database: every row once, in order, also with equal values; counts up to a limit."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import DateTime, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backend.core.database import Database
from backend.core.listing import pages
from backend.core.listing.pages import PageRequest, Total, load_page
from backend.core.listing.sorts import CursorOfOtherSort, ListSorts, by_name
from backend.core.pagination import CursorInvalid, encode_cursor
from backend.core.tenancy import Scope

TABLE = """
CREATE TEMP TABLE list_row (id uuid PRIMARY KEY, name text, number int, at timestamptz) ON COMMIT DROP
"""
START = datetime(2026, 3, 1, 8, tzinfo=UTC)


class TemporaryBase(DeclarativeBase):
    """Of a table that exists in one transaction."""


class ListRow(TemporaryBase):
    """A row of a list."""

    __tablename__ = "list_row"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    number: Mapped[int]
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


SORTS = ListSorts(
    ListRow.id,
    {"id": ListRow.id, "name": by_name(ListRow.name), "number": ListRow.number, "at": ListRow.at},
    default="-at",
)
ROWS: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.builds(
        dict,
        id=st.uuids(),
        name=st.text(alphabet="张王李阿aB'·\"𠮷", min_size=1, max_size=3),
        number=st.integers(-2, 2),
        at=st.integers(0, 3).map(lambda hours: START + timedelta(hours=hours)),
    ),
    max_size=12,
    unique_by=lambda row: row["id"],
)


async def create_rows(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    await session.execute(text(TABLE))
    if rows:
        await session.execute(insert(ListRow), rows)


async def walk(session: AsyncSession, sort: str, limit: int) -> list[UUID]:
    """The ids of all rows, page by page."""
    ids: list[UUID] = []
    cursor = None
    while True:
        page = await load_page(session, select(ListRow), SORTS, PageRequest(limit, cursor, sort))
        assert len(page.rows) <= limit
        ids += [row.id for (row,) in page.rows]
        cursor = page.next_cursor
        if cursor is None:
            return ids


@given(rows=ROWS, sort=st.sampled_from(SORTS.names), limit=st.integers(1, 5))
@settings(max_examples=60, deadline=None)
async def test_pages_hold_every_row_once_and_in_order(
    owner: Database, rows: list[dict[str, Any]], sort: str, limit: int
) -> None:
    async with owner.transaction(Scope.none()) as session:
        await create_rows(session, rows)
        ids = await walk(session, sort, limit)
        opposite = sort[1:] if sort.startswith("-") else f"-{sort}"
        assert ids == (await walk(session, opposite, limit))[::-1]
    assert sorted(ids) == sorted(row["id"] for row in rows)
    name = sort.removeprefix("-")
    if name != "name":  # only the database knows the order of names
        value_of = {row["id"]: (row[name], row["id"]) for row in rows}
        assert ids == sorted(ids, key=value_of.__getitem__, reverse=sort.startswith("-"))


async def test_names_are_ordered_by_pinyin(owner: Database) -> None:
    names = ["阿依", "李四", "王五", "张三"]
    async with owner.transaction(Scope.none()) as session:
        rows = [
            {"id": UUID(int=number), "name": name, "number": 0, "at": START}
            for number, name in enumerate(reversed(names))
        ]
        await create_rows(session, rows)
        page = await load_page(session, select(ListRow), SORTS, PageRequest(10, None, "name"))
    assert [row.name for (row,) in page.rows] == names


async def test_total_is_exact_up_to_the_limit(owner: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MAX_TOTAL", 3)
    async with owner.transaction(Scope.none()) as session:
        rows = [{"id": UUID(int=n), "name": "张", "number": n, "at": START} for n in range(4)]
        await create_rows(session, rows)
        few = await load_page(
            session, select(ListRow).where(ListRow.number < 3), SORTS, PageRequest(2, with_total=True)
        )
        many = await load_page(session, select(ListRow), SORTS, PageRequest(2, with_total=True))
        uncounted = await load_page(session, select(ListRow), SORTS, PageRequest(2))
    assert few.total == Total(count=3, is_exact=True)
    assert many.total == Total(count=3, is_exact=False)
    assert uncounted.total is None


ID = str(UUID(int=1))


@pytest.mark.parametrize(
    ("cursor", "error"),
    [
        (encode_cursor("name", "张", ID), CursorOfOtherSort),
        (encode_cursor("-number", "1", ID), CursorOfOtherSort),
        (encode_cursor("number", "one", ID), CursorInvalid),
        (encode_cursor("number", str(2**40), ID), CursorInvalid),
        (encode_cursor("number", "1", "1"), CursorInvalid),
        (encode_cursor("number", ID), CursorInvalid),
        ("%", CursorInvalid),
    ],
)
async def test_cursor_that_does_not_fit_is_refused(
    owner: Database, cursor: str, error: type[Exception]
) -> None:
    async with owner.transaction(Scope.none()) as session:
        await create_rows(session, [])
        with pytest.raises(error):
            await load_page(session, select(ListRow), SORTS, PageRequest(2, cursor, "number"))

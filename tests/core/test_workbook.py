"""Workbooks hold text and numbers only, whatever a person has typed."""

from io import BytesIO
from zipfile import ZipFile

import pytest
from openpyxl import load_workbook

from backend.core.web.workbook import FORMULA_PREFIXES, Cell, Column, ListWorkbook

COLUMNS = (Column("姓名", "Name"), Column("次数", "Number"))


async def write(rows: list[tuple[Cell, ...]]) -> bytes:
    async with ListWorkbook("名单", COLUMNS) as book:
        await book.add_rows(rows)
        with await book.finish([("点名 Roll call", "=1+1")]) as file:
            return file.read()


async def test_cells_are_read_back_as_they_were_written() -> None:
    content = await write([("王小明", 3), (None, 0), ("0012", 7)])
    sheet = load_workbook(BytesIO(content))["名单"]
    assert list(sheet.values) == [
        ("姓名 Name", "次数 Number"),
        ("王小明", 3),
        (None, 0),
        ("0012", 7),
    ]


@pytest.mark.parametrize("prefix", FORMULA_PREFIXES)
async def test_text_that_looks_like_a_formula_stays_text(prefix: str) -> None:
    text = f'{prefix}HYPERLINK("http://example.invalid","x")'
    content = await write([(text, 1)])
    cell = load_workbook(BytesIO(content))["名单"]["A2"]
    assert (cell.data_type, bool(cell.quotePrefix)) == ("s", True)
    assert str(cell.value).endswith(text[1:])
    with ZipFile(BytesIO(content)) as archive:
        for name in archive.namelist():
            assert b"<f>" not in archive.read(name), name


async def test_link_is_text() -> None:
    sheet = load_workbook(BytesIO(await write([("https://example.invalid/", 1)])))["名单"]
    assert (sheet["A2"].data_type, sheet["A2"].hyperlink) == ("s", None)


async def test_an_empty_list_has_its_headers() -> None:
    assert list(load_workbook(BytesIO(await write([])))["名单"].values) == [("姓名 Name", "次数 Number")]


@pytest.mark.parametrize("text", ["<r><broken></r>", "<r><t>x</t></r></is></c><c>"])
async def test_text_that_looks_like_markup_stays_text(text: str) -> None:
    sheet = load_workbook(BytesIO(await write([(text, 1), ("<r></r>", 2)])))["名单"]
    assert [str(sheet[place].value).strip() for place in ("A2", "A3")] == [text, "<r></r>"]

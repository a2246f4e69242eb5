"""Finding the header row and matching its columns to the template by name, never by position."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from backend.core.match_keys import is_blank, match_key
from backend.exchange.roster.cells import RawRow, plain
from backend.exchange.roster.errors import RosterColumnsMissing, RosterColumnsRepeated
from backend.exchange.roster.issues import UNKNOWN_COLUMN, ColumnRef, RowIssue, Severity
from backend.exchange.roster.template import Column, load_template

SEARCHED_ROWS = 10
"""The header row is searched in the first rows; titles and instructions may precede it."""

MIN_RECOGNISED = 3
"""A row with fewer template headers is not a header row."""

MAX_HEADER_LENGTH = 100
"""Characters of a cell that are compared; instructions above the header may be pages long."""

_MARKS = re.compile(r"\(.*?\)|\[.*?\]|【.*?】|[*★※:]")


def normalise(header: str) -> str:
    """The match key of a header without what schools add to it: `＊姓 名（必填）` → `姓名`."""
    return _MARKS.sub("", match_key(header[:MAX_HEADER_LENGTH]))


@cache
def _columns_by_header() -> Mapping[str, Column]:
    columns = load_template().columns
    return MappingProxyType(
        {normalise(text): column for column in columns for text in (column.name, *column.aliases)}
    )


@dataclass(frozen=True, slots=True)
class Header:
    """A matched header row.

    `fields`: columns with a field, by field. `extra`: canonical headers of the other template columns, by index.
    `unknown`: columns that the template does not have.
    """

    row: int
    fields: Mapping[str, ColumnRef]
    extra: Mapping[int, str]
    unknown: tuple[ColumnRef, ...]

    def is_blank(self, row: RawRow) -> bool:
        """Whether no column of the template is filled with anything visible; columns like 序号 are filled in advance."""
        columns = {place.index for place in self.fields.values()} | self.extra.keys()
        return all(index not in columns or is_blank(cell) for index, cell in row.cells.items())

    def warnings(self, sheet: str) -> list[RowIssue]:
        """One warning for each unknown column; its content is not imported."""
        return [
            place.issue(sheet, self.row, place.header, UNKNOWN_COLUMN, Severity.WARNING)
            for place in self.unknown
        ]


def is_header(row: RawRow) -> bool:
    """Whether the row contains at least `MIN_RECOGNISED` template headers, one of them mandatory."""
    known = _columns_by_header()
    columns = [known[name] for cell in row.cells.values() if (name := normalise(cell)) in known]
    return len(columns) >= MIN_RECOGNISED and any(column.mandatory for column in columns)


def match_header(sheet: str, row: RawRow) -> Header:
    """Match a header row; raises `RosterColumnsMissing` and `RosterColumnsRepeated`."""
    known = _columns_by_header()
    matched = {index: known.get(normalise(cell)) for index, cell in row.cells.items()}
    names = Counter(column.name for column in matched.values() if column)
    if twice := [name for name, count in names.items() if count > 1]:
        raise RosterColumnsRepeated(sheet=sheet, columns="、".join(twice))
    if missing := [column.name for column in load_template().mandatory() if column.name not in names]:
        raise RosterColumnsMissing(sheet=sheet, columns="、".join(missing))
    return Header(
        row=row.number,
        fields={
            column.field: ColumnRef(index, column.name, column.personal)
            for index, column in matched.items()
            if column and column.field
        },
        extra={index: column.name for index, column in matched.items() if column and not column.field},
        unknown=tuple(
            ColumnRef(index, plain(row.cells[index])[:50], personal=False)
            for index, column in matched.items()
            if column is None and normalise(row.cells[index])
        ),
    )

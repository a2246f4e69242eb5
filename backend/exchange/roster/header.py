"""Finding the header row and matching it to the template by name, never by position."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from backend.exchange.roster.cells import RawRow, plain
from backend.exchange.roster.errors import RosterColumnsMissing, RosterColumnsRepeated
from backend.exchange.roster.issues import UNKNOWN_COLUMN, Place, RowIssue, Severity
from backend.exchange.roster.template import Column, load_template

SEARCHED_ROWS = 10
"""Titles and instructions may stand above the header row, but not more than this."""

RECOGNISED_AT_LEAST = 3
"""A row with fewer template headers is not a header row."""

LONGEST_HEADER = 100
"""Characters of a cell that are looked at: instructions above the header may be pages long."""

_MARKS = re.compile(r"\(.*?\)|\[.*?\]|【.*?】|[*★※:\s]")


def normal(header: str) -> str:
    """The header without what schools add to it: `＊姓 名（必填）` → `姓名`."""
    return _MARKS.sub("", unicodedata.normalize("NFKC", header[:LONGEST_HEADER]))


@cache
def _columns_by_header() -> Mapping[str, Column]:
    columns = load_template().columns
    return MappingProxyType(
        {normal(text): column for column in columns for text in (column.name, *column.aliases)}
    )


@dataclass(frozen=True, slots=True)
class Header:
    """A matched header row.

    `fields` are the places of columns that have a field; `kept` the canonical headers of the other template
    columns, by index; `unknown` the places of columns that the template does not have.
    """

    row: int
    fields: Mapping[str, Place]
    kept: Mapping[int, str]
    unknown: tuple[Place, ...]

    def warnings(self, sheet: str) -> list[RowIssue]:
        """One warning for each column whose content is left out."""
        return [
            place.issue(sheet, self.row, place.header, UNKNOWN_COLUMN, Severity.WARNING)
            for place in self.unknown
        ]


def is_header(row: RawRow) -> bool:
    """Whether the row names at least a few columns of the template, with a mandatory one among them."""
    known = _columns_by_header()
    columns = [known[name] for cell in row.cells.values() if (name := normal(cell)) in known]
    return len(columns) >= RECOGNISED_AT_LEAST and any(column.mandatory for column in columns)


def match_header(sheet: str, row: RawRow) -> Header:
    """Match a header row; raises where a mandatory column is missing or any column stands twice."""
    known = _columns_by_header()
    matched = {index: known.get(normal(cell)) for index, cell in row.cells.items()}
    names = Counter(column.name for column in matched.values() if column)
    if twice := [name for name, count in names.items() if count > 1]:
        raise RosterColumnsRepeated(sheet=sheet, columns="、".join(twice))
    if missing := [column.name for column in load_template().mandatory() if column.name not in names]:
        raise RosterColumnsMissing(sheet=sheet, columns="、".join(missing))
    return Header(
        row=row.number,
        fields={
            column.field: Place(index, column.name, column.personal)
            for index, column in matched.items()
            if column and column.field
        },
        kept={index: column.name for index, column in matched.items() if column and not column.field},
        unknown=tuple(
            Place(index, plain(row.cells[index])[:50], personal=False)
            for index, column in matched.items()
            if column is None and normal(row.cells[index])
        ),
    )

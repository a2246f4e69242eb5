"""Cells of 50 m by 50 m that cover the Earth, for counting positions without keeping them.

Rows are bands of latitude of equal height. Each row is divided into columns of nearly equal width, a whole number of
them around the Earth, so a cell is the same for every site and every caller.
"""

import math
from dataclasses import dataclass

CELL_M = 50.0
"""Height of a cell, and width at the middle of its row, in metres."""
_MERIDIAN_M = 10_001_965.729
"""From the equator to a pole on the WGS-84 ellipsoid."""
_EQUATOR_M = 40_075_016.686
_ROWS = round(2 * _MERIDIAN_M / CELL_M)
_DEGREES_PER_ROW = 180.0 / _ROWS


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """A cell: its row from the south pole, its column from 180° west."""

    row: int
    column: int


@dataclass(frozen=True, slots=True)
class CellBounds:
    """The edges of a cell in degrees (WGS-84)."""

    west: float
    south: float
    east: float
    north: float


def cell_at(lon: float, lat: float) -> Cell:
    """The cell that contains a WGS-84 position, in degrees. The northern and eastern edges belong to the next cell."""
    row = min(_ROWS - 1, max(0, math.floor((lat + 90.0) / _DEGREES_PER_ROW)))
    columns = _columns(row)
    column = math.floor((lon + 180.0) / 360.0 * columns) % columns
    return Cell(row, column)


def bounds_of(cell: Cell) -> CellBounds:
    """The edges of a cell."""
    columns = _columns(cell.row)
    return CellBounds(
        west=cell.column / columns * 360.0 - 180.0,
        south=cell.row * _DEGREES_PER_ROW - 90.0,
        east=(cell.column + 1) / columns * 360.0 - 180.0,
        north=(cell.row + 1) * _DEGREES_PER_ROW - 90.0,
    )


def _columns(row: int) -> int:
    """Number of columns of a row: by the length of the parallel in its middle, on a sphere with the Earth's equator."""
    middle = math.radians((row + 0.5) * _DEGREES_PER_ROW - 90.0)
    return max(1, round(_EQUATOR_M * math.cos(middle) / CELL_M))

"""Cells of 50 m: every position lies in its cell, and cells have their size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.cells import CELL_M, Cell, bounds_of, cell_at
from geo.local_projection import LocalPlane

longitudes = st.floats(-180.0, 179.999999)
latitudes = st.floats(-89.9, 89.9)
ROUNDING = 1e-9
"""Degrees: a position within a tenth of a millimetre of an edge may be in either cell."""


@given(longitudes, latitudes)
def test_position_lies_in_its_cell(lon: float, lat: float) -> None:
    edges = bounds_of(cell_at(lon, lat))
    assert edges.west - ROUNDING <= lon <= edges.east + ROUNDING
    assert edges.south - ROUNDING <= lat <= edges.north + ROUNDING


@given(longitudes, latitudes)
def test_middle_of_a_cell_is_in_that_cell(lon: float, lat: float) -> None:
    cell = cell_at(lon, lat)
    edges = bounds_of(cell)
    assert cell_at((edges.west + edges.east) / 2, (edges.south + edges.north) / 2) == cell


@given(longitudes, st.floats(18.0, 54.0))
def test_cell_in_china_is_fifty_metres_wide_and_high(lon: float, lat: float) -> None:
    edges = bounds_of(cell_at(lon, lat))
    plane = LocalPlane(edges.west, (edges.south + edges.north) / 2)
    x, _ = plane.project([edges.east], [(edges.south + edges.north) / 2])
    _, y = plane.project([edges.west, edges.west], [edges.south, edges.north])
    assert x[0] == pytest.approx(CELL_M, rel=0.005)
    assert y[1] - y[0] == pytest.approx(CELL_M, rel=0.005)


def test_neighbours_are_told_apart_and_the_globe_closes() -> None:
    here = cell_at(113.62, 34.7525)
    edges = bounds_of(here)
    beyond = (edges.east + (edges.east - edges.west) / 2, (edges.south + edges.north) / 2)
    assert cell_at(*beyond) == Cell(here.row, here.column + 1)
    assert cell_at(180.0, 0.0) == cell_at(-180.0, 0.0)
    assert cell_at(0.0, 90.0).row == cell_at(0.0, 89.9999).row

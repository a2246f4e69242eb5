import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geo.arrays import FloatArray
from geo.probability import RADIUS_95_PER_SIGMA, Edges, probability_inside

Vertices = list[tuple[float, float]]


def edges(*rings: Vertices) -> Edges:
    sides = [side for ring in rings for side in pairwise([*ring, ring[0]])]
    starts, ends = (np.array(points).T for points in zip(*sides, strict=True))
    return Edges(starts[0].copy(), starts[1].copy(), ends[0].copy(), ends[1].copy())


def box(west: float, south: float, east: float, north: float) -> Vertices:
    return [(west, south), (east, south), (east, north), (west, north)]


def probability(x: float, y: float, sigma: float, region: Edges) -> float:
    return float(probability_inside(np.array([x]), np.array([y]), np.array([sigma]), region)[0])


def box_probability(
    x: float, y: float, sigma: float, west: float, south: float, east: float, north: float
) -> float:
    """Closed form for a rectangle: the errors east and north are independent."""
    across, along = NormalDist(x, sigma), NormalDist(y, sigma)
    return (across.cdf(east) - across.cdf(west)) * (along.cdf(north) - along.cdf(south))


def test_accuracy_radius_contains_95_percent() -> None:
    ring = [(math.cos(a), math.sin(a)) for a in np.linspace(0, 2 * math.pi, 2000, endpoint=False)]
    assert probability(0, 0, 1 / RADIUS_95_PER_SIGMA, edges(ring)) == pytest.approx(0.95, abs=2e-6)


@given(distance=st.floats(-400, 400), sigma=st.floats(0.5, 200))
def test_straight_edge_gives_the_normal_distribution_function(distance: float, sigma: float) -> None:
    half_plane = edges(box(-1e5, -1e5, 1e5, 0.0))
    assert probability(0.0, distance, sigma, half_plane) == pytest.approx(
        NormalDist().cdf(-distance / sigma), abs=1e-12
    )


@given(
    x=st.floats(-300, 300), y=st.floats(-300, 300), sigma=st.floats(0.01, 1000),
    width=st.floats(0.1, 500), height=st.floats(0.1, 500),
)  # fmt: skip
def test_rectangle_gives_the_closed_form(
    x: float, y: float, sigma: float, width: float, height: float
) -> None:
    sides = (-width / 2, -height / 2, width / 2, height / 2)
    assert probability(x, y, sigma, edges(box(*sides))) == pytest.approx(
        box_probability(x, y, sigma, *sides), abs=1e-12
    )


@pytest.mark.parametrize("corner", [(0.0, 0.0), (100.0, 0.0), (100.0, 50.0), (0.0, 50.0)])
def test_fix_on_a_corner_is_a_quarter_inside(corner: tuple[float, float]) -> None:
    assert probability(*corner, 1.0, edges(box(0, 0, 100, 50))) == pytest.approx(0.25, abs=1e-12)


def test_fix_on_an_edge_is_half_inside_at_any_accuracy() -> None:
    for sigma in (1e-300, 1e-9, 1e-3, 1.0):
        assert probability(50.0, 0.0, sigma, edges(box(0, 0, 100, 50))) == pytest.approx(0.5, abs=1e-12)


@given(x=st.floats(-100, 100), y=st.floats(-100, 100), sigma=st.floats(1, 200))
def test_hole_subtracts_its_probability(x: float, y: float, sigma: float) -> None:
    shell, hole = box(-80, -80, 80, 80), box(-20, -30, 25, 10)
    with_hole = probability(x, y, sigma, edges(shell, hole[::-1]))
    assert with_hole == pytest.approx(
        box_probability(x, y, sigma, -80, -80, 80, 80) - box_probability(x, y, sigma, -20, -30, 25, 10),
        abs=1e-12,
    )


@given(x=st.floats(-100, 100), y=st.floats(-100, 100), sigma=st.floats(1, 100), cut=st.floats(-39, 39))
def test_parts_of_a_site_add_up(x: float, y: float, sigma: float, cut: float) -> None:
    whole = probability(x, y, sigma, edges(box(-40, -40, 40, 40)))
    parts = probability(x, y, sigma, edges(box(-40, -40, cut, 40), box(cut, -40, 40, 40)))
    assert parts == pytest.approx(whole, abs=1e-12)


def test_irregular_campus_agrees_with_random_sampling() -> None:
    ring: Vertices = [(0, 0), (120, -10), (140, 60), (70, 30), (60, 110), (-20, 80)]
    polygon, region = shapely.Polygon(ring), edges(ring)
    random = np.random.default_rng(20221009)
    draws = 400_000
    for x, y, radius in [(60, 40, 30), (75, 60, 20), (-30, 30, 80), (150, 100, 150), (65, 35, 5)]:
        sigma = radius / RADIUS_95_PER_SIGMA
        points: FloatArray = random.normal([x, y], sigma, (draws, 2))
        drawn = float(shapely.contains_xy(polygon, points[:, 0], points[:, 1]).mean())
        expected = probability(x, y, sigma, region)
        # Five standard errors; the seed is fixed, so the result is reproducible.
        assert abs(drawn - expected) <= 5 * math.sqrt(max(expected * (1 - expected), 1e-4) / draws)


@given(
    x=st.floats(-1e6, 1e6), y=st.floats(-1e6, 1e6), sigma=st.floats(1e-300, 1e7),
    turn=st.floats(0, 2 * math.pi),
)  # fmt: skip
def test_result_is_a_probability_and_rotation_invariant(
    x: float, y: float, sigma: float, turn: float
) -> None:
    ring: Vertices = [(0, 0), (120, -10), (140, 60), (70, 30), (60, 110), (-20, 80)]
    there = probability(x, y, sigma, edges(ring))
    assert 0.0 <= there <= 1.0
    if sigma > 0.1:  # below, rounding of the rotated coordinates matters
        spin = complex(math.cos(turn), math.sin(turn))
        turned = [((z := complex(*p) * spin).real, z.imag) for p in ring]
        point = complex(x, y) * spin
        assert probability(point.real, point.imag, sigma, edges(turned)) == pytest.approx(there, abs=1e-7)


def test_batches_give_the_same_result_as_single_fixes() -> None:
    ring = [(math.cos(a) * 200, math.sin(a) * 150) for a in np.linspace(0, 2 * math.pi, 3000, endpoint=False)]
    region = edges(ring)
    random = np.random.default_rng(7)
    x, y, sigma = random.normal(0, 150, 40), random.normal(0, 150, 40), random.uniform(2, 80, 40)
    each = [probability(*point, region) for point in zip(x.tolist(), y.tolist(), sigma.tolist(), strict=True)]
    assert probability_inside(x, y, sigma, region) == pytest.approx(np.array(each), abs=1e-12)

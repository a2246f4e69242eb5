import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from geo.local_projection import LocalPlane


def vincenty_m(lon1: float, lat1: float, lon2: float, lat2: float) -> float:
    """Geodesic distance on WGS-84 in metres (Vincenty 1975, inverse), as an independent reference."""
    a, f = 6378137.0, 1 / 298.257223563
    b = (1 - f) * a
    u1, u2 = (math.atan((1 - f) * math.tan(math.radians(lat))) for lat in (lat1, lat2))
    wanted = lam = math.radians(lon2 - lon1)
    for _ in range(100):
        p = math.cos(u2) * math.sin(lam)
        q = math.cos(u1) * math.sin(u2) - math.sin(u1) * math.cos(u2) * math.cos(lam)
        sin_s = math.hypot(p, q)
        if sin_s == 0:
            return 0.0
        cos_s = math.sin(u1) * math.sin(u2) + math.cos(u1) * math.cos(u2) * math.cos(lam)
        s = math.atan2(sin_s, cos_s)
        sin_a = math.cos(u1) * math.cos(u2) * math.sin(lam) / sin_s
        cos2_a = 1 - sin_a**2
        cos_m = cos_s - 2 * math.sin(u1) * math.sin(u2) / cos2_a if cos2_a else 0.0
        c = f / 16 * cos2_a * (4 + f * (4 - 3 * cos2_a))
        before, lam = (
            lam,
            wanted + (1 - c) * f * sin_a * (s + c * sin_s * (cos_m + c * cos_s * (2 * cos_m**2 - 1))),
        )
        if abs(lam - before) < 1e-13:
            break
    k = cos2_a * (a * a - b * b) / (b * b)
    big_a = 1 + k / 16384 * (4096 + k * (-768 + k * (320 - 175 * k)))
    big_b = k / 1024 * (256 + k * (-128 + k * (74 - 47 * k)))
    tail = cos_s * (2 * cos_m**2 - 1) - big_b / 6 * cos_m * (4 * sin_s**2 - 3) * (4 * cos_m**2 - 3)
    return b * big_a * (s - big_b * sin_s * (cos_m + big_b / 4 * tail))


def test_reference_reproduces_vincentys_example() -> None:
    # Flinders Peak to Buninyon, Geoscience Australia: 54972.271 m.
    assert vincenty_m(144.42486788, -37.95103341, 143.92649552, -37.65282113) == pytest.approx(
        54972.271, abs=0.01
    )


@given(lon=st.floats(73, 135), lat=st.floats(3, 54), dlon=st.floats(-0.1, 0.1), dlat=st.floats(-0.09, 0.09))
def test_distances_from_the_origin_are_exact_to_a_centimetre(
    lon: float, lat: float, dlon: float, dlat: float
) -> None:
    x, y = LocalPlane(lon, lat).project(lon + dlon, lat + dlat)
    assert np.hypot(x, y)[0] == pytest.approx(vincenty_m(lon, lat, lon + dlon, lat + dlat), abs=0.01)


NEAR = st.tuples(st.floats(-0.1, 0.1), st.floats(-0.09, 0.09))


@given(lon=st.floats(73, 135), lat=st.floats(3, 54), first=NEAR, second=NEAR)
def test_distances_between_points_err_by_at_most_two_per_million(
    lon: float, lat: float, first: tuple[float, float], second: tuple[float, float]
) -> None:
    (lon1, lat1), (lon2, lat2) = (lon + first[0], lat + first[1]), (lon + second[0], lat + second[1])
    x, y = LocalPlane(lon, lat).project([lon1, lon2], [lat1, lat2])
    true = vincenty_m(lon1, lat1, lon2, lat2)
    assume(true > 1.0)
    assert math.hypot(x[1] - x[0], y[1] - y[0]) == pytest.approx(true, rel=2e-6, abs=0.001)


@pytest.mark.parametrize("away", [(116.4, 39.9), (121.5, 31.2), (-0.1, 51.5), (-70.7, -33.4)])
def test_far_distances_from_the_origin_err_by_at_most_half_a_percent(
    away: tuple[float, float],
) -> None:
    x, y = LocalPlane(113.6, 34.7).project(*away)
    assert np.hypot(x, y)[0] == pytest.approx(vincenty_m(113.6, 34.7, *away), rel=0.005)


def test_antipode_is_half_the_earth_away() -> None:
    x, y = LocalPlane(113.6, 0.0).project(113.6 - 180.0, 0.0)
    assert np.hypot(x, y)[0] > 19_000_000


def test_east_is_positive_x_and_north_is_positive_y() -> None:
    x, y = LocalPlane(113.6, 34.7).project([113.6, 113.61, 113.6], [34.7, 34.7, 34.71])
    assert (x[0], y[0]) == (0.0, 0.0)
    assert x[1] > 900
    assert y[2] > 1100
    assert abs(x[2]) < 1e-6

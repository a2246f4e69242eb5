"""Sites and thresholds for the tests: a campus in Zhengzhou of about 457 m by 333 m."""

from collections.abc import Callable

import pytest

from geo.datum import Datum
from geo.fence import FenceThresholds
from geo.site import Site

CAMPUS = [(113.600, 34.700), (113.605, 34.700), (113.605, 34.703), (113.600, 34.703), (113.600, 34.700)]


@pytest.fixture(scope="session")
def campus() -> Site:
    return Site.from_outlines([[CAMPUS]], datum=Datum.WGS84, max_area_m2=1e6)


@pytest.fixture(scope="session")
def thresholds() -> FenceThresholds:
    return FenceThresholds(inside_at=0.9, outside_at=0.05, max_accuracy_m=150.0, max_age_s=60.0)


@pytest.fixture(scope="session")
def rectangle() -> Callable[[float, float], Site]:
    """A factory of rectangular sites about (113.6, 34.7), by half width and half height in degrees."""

    def make(half_lon: float, half_lat: float) -> Site:
        west, east, south, north = 113.6 - half_lon, 113.6 + half_lon, 34.7 - half_lat, 34.7 + half_lat
        ring = [(west, south), (east, south), (east, north), (west, north), (west, south)]
        return Site.from_outlines([[ring]], datum=Datum.WGS84, max_area_m2=1e12)

    return make

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.datum import Datum, convert
from geo.errors import FixAccuracyInvalid, FixMissing, FixNotFinite, FixOutOfRange, FixStale, GeoError
from geo.local_projection import LocalPlane
from geo.location_fixes import (
    Fix,
    combine,
    validate,
    validate_many,
)

GOOD = Fix(113.6, 34.7, 12.0, age_s=1.0)
METRE_NORTH = 1 / 110_940


def error_code(fix: Fix) -> str:
    with pytest.raises(GeoError) as refusal:
        validate(fix, max_age_s=60.0)
    assert refusal.value.sentence("zh")
    return refusal.value.code


@pytest.mark.parametrize("field", ["lon", "lat", "accuracy_m", "age_s"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_non_finite_value_error_names_the_field(field: str, value: float) -> None:
    values = {"lon": 113.6, "lat": 34.7, "accuracy_m": 12.0, "age_s": 1.0} | {field: value}
    fix = Fix(values["lon"], values["lat"], values["accuracy_m"], age_s=values["age_s"])
    with pytest.raises(FixNotFinite) as refusal:
        validate(fix, max_age_s=60.0)
    assert refusal.value.params == {"field": field}


@pytest.mark.parametrize(
    ("lon", "lat"), [(180.1, 0), (-180.1, 0), (0, 90.1), (0, -90.1), (1e300, 0), (113.6, 95)]
)
def test_position_not_on_earth_is_rejected(lon: float, lat: float) -> None:
    assert error_code(replace(GOOD, lon=lon, lat=lat)) == "fix_out_of_range"


def test_swapped_axes_have_their_own_hint() -> None:
    with pytest.raises(FixOutOfRange, match="Latitude seems to come first") as refusal:
        validate(replace(GOOD, lon=34.7, lat=113.6), max_age_s=60.0)
    assert "颠倒" in refusal.value.sentence("zh")
    with pytest.raises(FixOutOfRange, match="Take a new fix"):
        validate(replace(GOOD, lat=95.0, lon=113.6), max_age_s=60.0)


@pytest.mark.parametrize("accuracy", [-1.0, -1e-9, 0.0, -0.0, 2.1e7, 1e308])
def test_invalid_accuracy_is_rejected(accuracy: float) -> None:
    assert error_code(replace(GOOD, accuracy_m=accuracy)) == FixAccuracyInvalid.code == "fix_accuracy_invalid"


@pytest.mark.parametrize("age", [60.001, -60.001, 86_400.0])
def test_fix_with_a_large_age_of_either_sign_is_stale(age: float) -> None:
    assert error_code(replace(GOOD, age_s=age)) == FixStale.code == "fix_stale"


@pytest.mark.parametrize("age", [None, 0.0, 60.0, -60.0])
def test_fresh_fix_or_unknown_age_is_valid(age: float | None) -> None:
    validate(replace(GOOD, age_s=age), max_age_s=60.0)


@given(lon=st.floats(), lat=st.floats(), accuracy=st.floats())
def test_many_fixes_are_validated_like_single_ones(lon: float, lat: float, accuracy: float) -> None:
    def outcome(check: Callable[[], None]) -> str | None:
        try:
            check()
        except GeoError as refusal:
            return refusal.code
        return None

    many = np.array([113.6, lon]), np.array([34.7, lat]), np.array([12.0, accuracy])
    assert outcome(lambda: validate_many(*many)) == outcome(
        lambda: validate(Fix(lon, lat, accuracy), max_age_s=60.0)
    )


def test_conversion_keeps_accuracy_and_age() -> None:
    lon, lat = convert(113.6, 34.7, source=Datum.WGS84, target=Datum.BD09)
    back = Fix(lon, lat, 12.0, Datum.BD09, 3.0).in_wgs84()
    assert (back.lon, back.lat) == pytest.approx((113.6, 34.7), abs=1e-9)
    assert (back.accuracy_m, back.datum, back.age_s) == (12.0, Datum.WGS84, 3.0)


NEARBY = st.builds(
    Fix, st.floats(113.59, 113.61), st.floats(34.69, 34.71), st.floats(0.01, 2000), age_s=st.floats(-60, 60)
)


@given(fixes=st.lists(NEARBY, min_size=1, max_size=8))
def test_combined_fix_is_never_more_accurate_than_the_best(fixes: list[Fix]) -> None:
    assert combine(fixes).accuracy_m >= min(fix.accuracy_m for fix in fixes)


@given(fix=NEARBY, times=st.integers(1, 50))
def test_repeating_a_fix_does_not_improve_it(fix: Fix, times: int) -> None:
    together = combine([fix] * times)
    assert together.accuracy_m == pytest.approx(fix.accuracy_m, rel=1e-6, abs=1e-6)
    assert (together.lon, together.lat) == pytest.approx((fix.lon, fix.lat), abs=1e-9)


ORDERS = st.lists(NEARBY, min_size=2, max_size=6).flatmap(
    lambda fixes: st.tuples(st.just(fixes), st.permutations(fixes))
)


@given(orders=ORDERS)
def test_order_of_the_fixes_does_not_matter(orders: tuple[list[Fix], list[Fix]]) -> None:
    one, other = map(combine, orders)
    assert (one.lon, one.lat) == pytest.approx((other.lon, other.lat), abs=1e-9)
    assert one.accuracy_m == pytest.approx(other.accuracy_m, rel=1e-6)


def test_disagreement_widens_the_circle_to_cover_both() -> None:
    apart = 400.0
    fixes = [GOOD, replace(GOOD, lat=GOOD.lat + apart * METRE_NORTH)]
    together = combine(fixes)
    assert together.lat == pytest.approx(GOOD.lat + apart / 2 * METRE_NORTH)
    assert together.accuracy_m > apart / 2


def test_accurate_fix_outweighs_a_coarse_one() -> None:
    coarse = replace(GOOD, lat=GOOD.lat + 300 * METRE_NORTH, accuracy_m=500.0)
    together = combine([coarse, replace(GOOD, accuracy_m=10.0)])
    x, y = LocalPlane(GOOD.lon, GOOD.lat).project(together.lon, together.lat)
    assert np.hypot(x, y)[0] < 1.0
    assert together.accuracy_m < 20.0


def test_combined_fix_has_the_largest_known_age() -> None:
    assert (
        combine([replace(GOOD, age_s=3.0), replace(GOOD, age_s=-9.0), replace(GOOD, age_s=None)]).age_s
        == -9.0
    )
    assert combine([replace(GOOD, age_s=None), replace(GOOD, age_s=None)]).age_s is None


def test_combining_no_fixes_is_an_error() -> None:
    with pytest.raises(FixMissing):
        combine([])

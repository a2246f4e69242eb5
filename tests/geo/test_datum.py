import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.datum import Datum, convert, convert_many
from geo.errors import DatumUnknown
from geo.local_projection import LocalPlane

HENAN_SEATS = {
    "郑州": (113.625, 34.747), "开封": (114.307, 34.797), "洛阳": (112.454, 34.620), "平顶山": (113.192, 33.766),
    "安阳": (114.392, 36.098), "鹤壁": (114.297, 35.748), "新乡": (113.927, 35.303), "焦作": (113.242, 35.216),
    "濮阳": (115.029, 35.762), "许昌": (113.852, 34.036), "漯河": (114.017, 33.582), "三门峡": (111.200, 34.773),
    "南阳": (112.528, 32.991), "商丘": (115.656, 34.414), "信阳": (114.091, 32.147), "周口": (114.697, 33.626),
    "驻马店": (114.022, 33.012), "济源": (112.602, 35.067), "永城": (116.449, 33.929), "固始": (115.681, 32.168),
    "邓州": (112.087, 32.688), "鹿邑": (115.486, 33.860),
}  # fmt: skip
"""City and county seats, rounded to 100 m, which is enough because the shift is smooth."""

DATUMS = st.sampled_from(Datum)
HENAN = st.tuples(st.floats(110.35, 116.65), st.floats(31.38, 36.37))
CHINA = st.tuples(st.floats(73.0, 136.0), st.floats(3.0, 54.0))


def shift_m(lon: float, lat: float, source: Datum, target: Datum) -> float:
    """Metres by which a point moves on the map if its datum is mistaken for another."""
    x, y = LocalPlane(lon, lat).project(*convert(lon, lat, source=source, target=target))
    return float(np.hypot(x, y)[0])


@pytest.mark.parametrize("seat", HENAN_SEATS)
@pytest.mark.parametrize(
    ("source", "target", "least", "most"),
    [
        (Datum.WGS84, Datum.GCJ02, 478, 630),
        (Datum.GCJ02, Datum.BD09, 863, 932),
        (Datum.WGS84, Datum.BD09, 1147, 1384),
    ],
)
def test_wrong_datum_shifts_henan_by_the_published_distance(
    seat: str, source: Datum, target: Datum, least: float, most: float
) -> None:
    assert least <= shift_m(*HENAN_SEATS[seat], source, target) <= most


def test_forward_shift_agrees_with_other_implementations() -> None:
    # The example in the README of wandergis/coordtransform.
    assert convert(116.404, 39.915, source=Datum.WGS84, target=Datum.GCJ02) == pytest.approx(
        (116.41024449916938, 39.91640428150164), abs=1e-9
    )
    assert convert(116.404, 39.915, source=Datum.GCJ02, target=Datum.BD09) == pytest.approx(
        (116.41036949371029, 39.92133699351021), abs=1e-9
    )


@given(point=st.one_of(HENAN, CHINA), source=DATUMS, target=DATUMS)
def test_round_trip_is_exact_to_a_centimetre(
    point: tuple[float, float], source: Datum, target: Datum
) -> None:
    there = convert(*point, source=source, target=target)
    assert convert(*there, source=target, target=source) == pytest.approx(point, abs=1e-7, rel=0)


@given(point=CHINA)
def test_conversion_via_gcj02_equals_the_direct_one(point: tuple[float, float]) -> None:
    over = convert(
        *convert(*point, source=Datum.WGS84, target=Datum.GCJ02), source=Datum.GCJ02, target=Datum.BD09
    )
    assert over == convert(*point, source=Datum.WGS84, target=Datum.BD09)


@given(points=st.lists(st.one_of(CHINA, st.tuples(st.floats(-180, 180), st.floats(-90, 90))), min_size=1),
       source=DATUMS, target=DATUMS)  # fmt: skip
def test_many_points_convert_like_single_ones(
    points: list[tuple[float, float]], source: Datum, target: Datum
) -> None:
    lons, lats = convert_many(*np.array(points).T, source=source, target=target)
    each = [convert(*point, source=source, target=target) for point in points]
    assert np.column_stack([lons, lats]) == pytest.approx(np.array(each), abs=1e-12, rel=0)


@pytest.mark.parametrize(
    "place", [(2.35, 48.86), (-73.98, 40.75), (151.2, -33.87), (0.0, 90.0), (-180.0, -90.0)]
)
@pytest.mark.parametrize("source", Datum)
@pytest.mark.parametrize("target", Datum)
def test_no_shift_is_applied_abroad(place: tuple[float, float], source: Datum, target: Datum) -> None:
    assert convert(*place, source=source, target=target) == place


def test_conversion_does_not_change_the_input() -> None:
    lons, lats = np.array([113.6]), np.array([34.7])
    same_lons, _ = convert_many(lons, lats, source=Datum.WGS84, target=Datum.WGS84)
    same_lons[0] = 0.0
    assert lons[0] == 113.6


@pytest.mark.parametrize("name", ["wgs84", "WGS84", " gcj02 ", "BD09"])
def test_datum_name_is_case_insensitive(name: str) -> None:
    assert Datum.named(name).value == name.strip().lower()


@pytest.mark.parametrize("name", ["", "wgs-84", "cgcs2000", "火星"])
def test_unknown_datum_error_lists_the_known_ones(name: str) -> None:
    with pytest.raises(DatumUnknown, match="wgs84, gcj02, bd09") as refusal:
        Datum.named(name)
    assert refusal.value.code == "datum_unknown"

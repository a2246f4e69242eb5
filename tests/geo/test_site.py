import json
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geo.datum import Datum, convert, convert_many
from geo.errors import GeoError, SiteInvalid, SiteTooLarge
from geo.site import Site, SiteFlaw, site_error
from geo.site_files import site_from_csv, site_from_geojson, site_from_geojson_text

SQUARE = [[113.60, 34.70], [113.61, 34.70], [113.61, 34.71], [113.60, 34.71], [113.60, 34.70]]
HOLE = [[113.602, 34.702], [113.602, 34.704], [113.604, 34.704], [113.604, 34.702], [113.602, 34.702]]
EAST = [[lon + 0.02, lat] for lon, lat in SQUARE]
CAP = 5e6


def read_site(document: object, datum: Datum = Datum.WGS84, cap: float = CAP) -> Site:
    return site_from_geojson(document, datum=datum, max_area_m2=cap)


def polygon(*rings: object) -> dict[str, object]:
    return {"type": "Polygon", "coordinates": list(rings)}


def flaw_of(document: object) -> SiteFlaw:
    with pytest.raises(SiteInvalid) as refusal:
        read_site(document)
    assert refusal.value.code == "site_invalid"
    reason = refusal.value.params["reason"]
    assert isinstance(reason, SiteFlaw)
    return reason


def distance(site: Site, lon: float, lat: float) -> float:
    return float(site.signed_distance(*site.plane.project(lon, lat))[0])


def square_area_m2() -> float:
    """Ellipsoid area between two parallels (closed form), times the share of longitude."""
    a, e = 6378137.0, math.sqrt(0.0066943799901413165)

    def belt(lat: float) -> float:
        s = math.sin(math.radians(lat))
        return s / (1 - e * e * s * s) + math.log((1 + e * s) / (1 - e * s)) / (2 * e)

    return a * a * (1 - e * e) / 2 * math.radians(0.01) * (belt(34.71) - belt(34.70))


def test_area_is_that_of_the_ellipsoid() -> None:
    assert read_site(polygon(SQUARE)).area_m2 == pytest.approx(square_area_m2(), rel=1e-5)


@pytest.mark.parametrize(
    "document",
    [
        polygon(SQUARE),
        polygon([[*vertex, 110.5] for vertex in SQUARE]),
        polygon(SQUARE[::-1]),
        {"type": "MultiPolygon", "coordinates": [[SQUARE]]},
        {"type": "Feature", "properties": None, "geometry": polygon(SQUARE)},
        {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": polygon(SQUARE)}]},
    ],
)
def test_all_geojson_forms_give_the_same_site(document: dict[str, object]) -> None:
    site = read_site(document)
    assert site.polygons.equals(shapely.MultiPolygon([shapely.Polygon(SQUARE)]))
    assert distance(site, 113.605, 34.705) < -400


def test_distance_is_negative_inside_and_zero_on_the_edge() -> None:
    site = read_site(polygon(SQUARE))
    assert distance(site, 113.6001, 34.705) == pytest.approx(-9.16, abs=0.1)
    assert distance(site, 113.5999, 34.705) == pytest.approx(9.16, abs=0.1)
    assert distance(site, 113.60, 34.705) == pytest.approx(0.0, abs=0.001)


def test_hole_is_outside() -> None:
    site = read_site(polygon(SQUARE, HOLE))
    assert distance(site, 113.603, 34.703) > 80
    assert site.area_m2 < read_site(polygon(SQUARE)).area_m2


def test_inside_any_polygon_is_inside() -> None:
    site = read_site({"type": "MultiPolygon", "coordinates": [[SQUARE], [EAST]]})
    assert distance(site, 113.605, 34.705) < 0
    assert distance(site, 113.625, 34.705) < 0
    assert distance(site, 113.615, 34.705) > 0


def test_touching_and_overlapping_polygons_are_merged() -> None:
    beside = [[lon + 0.01, lat] for lon, lat in SQUARE]
    over = [[lon + 0.005, lat] for lon, lat in SQUARE]
    site = read_site({"type": "MultiPolygon", "coordinates": [[SQUARE], [beside], [over]]})
    assert len(site.polygons.geoms) == 1
    assert site.area_m2 == pytest.approx(2 * read_site(polygon(SQUARE)).area_m2, rel=1e-5)
    assert distance(site, 113.61, 34.705) < -500  # the inner border is gone


@pytest.mark.parametrize("datum", Datum)
def test_site_in_another_datum_is_converted(datum: Datum) -> None:
    lons, lats = convert_many(*np.array(SQUARE).T, source=Datum.WGS84, target=datum)
    site = read_site(polygon(np.column_stack([lons, lats]).tolist()), datum)
    assert shapely.hausdorff_distance(site.polygons, shapely.Polygon(SQUARE)) < 1e-7


def test_area_limit_is_enforced_with_both_figures() -> None:
    area = read_site(polygon(SQUARE)).area_m2
    assert read_site(polygon(SQUARE), cap=area).area_m2 == area
    with pytest.raises(SiteTooLarge) as refusal:
        read_site(polygon(SQUARE), cap=area - 1)
    assert refusal.value.params == {"area_m2": round(area), "max_area_m2": round(area - 1)}


@pytest.mark.parametrize(
    ("document", "flaw"),
    [
        (
            polygon([[113.6, 34.7], [113.61, 34.71], [113.61, 34.7], [113.6, 34.71], [113.6, 34.7]]),
            "self_intersection",
        ),
        (polygon([[113.6, 34.7], [113.61, 34.7], [113.62, 34.7], [113.6, 34.7]]), "self_intersection"),
        (polygon(SQUARE, [[lon + 1, lat] for lon, lat in HOLE]), "self_intersection"),
        (polygon([[113.6, 34.7], [113.61, 34.7], [113.6, 34.7]]), "too_few_vertices"),
        (polygon([]), "too_few_vertices"),
        (polygon(SQUARE[:-1]), "ring_not_closed"),
        (
            polygon([[179.9, 10], [-179.9, 10], [-179.9, 10.1], [179.9, 10.1], [179.9, 10]]),
            "crosses_antimeridian",
        ),
        (polygon([[lat, lon] for lon, lat in SQUARE]), "axes_swapped"),
        (polygon([[lon + 100, lat] for lon, lat in SQUARE]), "out_of_range"),
        (polygon([[math.nan, 34.7], *SQUARE[1:]]), "not_finite"),
        (polygon([[10**400, 34.7], *SQUARE[1:]]), "not_finite"),
        (polygon([[0, 0], [20, 0], [20, 20], [0, 20], [0, 0]]), "too_wide"),
        (polygon(), "empty"),
        ({"type": "MultiPolygon", "coordinates": []}, "empty"),
        ({"type": "FeatureCollection", "features": []}, "empty"),
        ({"type": "Point", "coordinates": [113.6, 34.7]}, "not_polygon"),
        ({"type": "Feature", "geometry": None}, "empty"),
        ({"type": "Feature", "geometry": {"type": "LineString", "coordinates": SQUARE}}, "not_polygon"),
        ({"type": "FeatureCollection", "features": [polygon(SQUARE)]}, "not_geojson"),
        (polygon("abc"), "not_geojson"),
        (polygon([113.6, 34.7]), "not_geojson"),
        (polygon([["113.6", "34.7"], *SQUARE[1:]]), "not_geojson"),
        (polygon([[True, False], *SQUARE[1:]]), "not_geojson"),
        ([], "not_geojson"),
        (None, "not_geojson"),
    ],
)
def test_invalid_site_is_rejected_with_its_flaw(document: object, flaw: str) -> None:
    assert flaw_of(document) == flaw


def test_polygons_far_apart_are_too_wide() -> None:
    far = [[lon, lat + 12] for lon, lat in SQUARE]
    assert flaw_of({"type": "MultiPolygon", "coordinates": [[SQUARE], [far]]}) is SiteFlaw.TOO_WIDE


def test_self_intersection_error_has_the_position() -> None:
    bow = [[113.6, 34.7], [113.61, 34.71], [113.61, 34.7], [113.6, 34.71], [113.6, 34.7]]
    with pytest.raises(SiteInvalid, match=r"113\.605 34\.705"):
        read_site(polygon(bow))


@pytest.mark.parametrize("flaw", SiteFlaw)
def test_every_flaw_has_a_sentence_in_both_languages(flaw: SiteFlaw) -> None:
    assert site_error(flaw).sentence("zh") != site_error(flaw).sentence("en")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\ufeff{]"])
def test_text_that_is_not_json_is_rejected(text: str) -> None:
    with pytest.raises(SiteInvalid, match="not valid GeoJSON"):
        site_from_geojson_text(text, datum=Datum.WGS84, max_area_m2=CAP)


def test_byte_order_mark_is_ignored() -> None:
    text = "\ufeff" + json.dumps(polygon(SQUARE))
    assert site_from_geojson_text(text, datum=Datum.WGS84, max_area_m2=CAP).area_m2 > 0


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.sampled_from(["Polygon", "Feature", "type"]),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.fixed_dictionaries(
            {"type": st.sampled_from(["Polygon", "MultiPolygon", "Feature", "FeatureCollection"])},
            optional={"coordinates": inner, "geometry": inner, "features": inner},
        )
    ),
)


@given(document=JSON)
def test_any_json_gives_a_site_or_an_error(document: object) -> None:
    try:
        area, code = read_site(document, cap=math.inf).area_m2, ""
    except GeoError as refusal:
        area, code = 0.0, refusal.code
    assert area > 0 or code == "site_invalid"


RINGS = st.lists(
    st.lists(st.tuples(st.floats(113.5, 113.7), st.floats(34.6, 34.8)).map(list), min_size=3, max_size=7),
    min_size=1,
)


@given(rings=RINGS)
def test_any_rings_give_a_valid_site_or_an_error(
    rings: list[list[list[float]]],
) -> None:
    try:
        site = read_site(
            {"type": "MultiPolygon", "coordinates": [[[*ring, ring[0]]] for ring in rings]}, cap=1e12
        )
    except SiteInvalid:
        return
    assert site.polygons.is_valid
    whole = site.probability_inside(np.zeros(1), np.zeros(1), np.full(1, 1e7))
    assert whole[0] == pytest.approx(site.area_m2 / (2 * math.pi * 1e14), rel=1e-3, abs=1e-12)


def make_csv(rows: Sequence[Sequence[object]], header: str = "polygon,lon,lat") -> str:
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"


@pytest.mark.parametrize("closing", [5, 4])
def test_csv_gives_the_same_site_as_geojson(closing: int) -> None:
    rows = [(name, *vertex) for name, ring in (("main", SQUARE), ("east", EAST)) for vertex in ring[:closing]]
    site = site_from_csv("\ufeff" + make_csv(rows), datum=Datum.WGS84, max_area_m2=CAP)
    assert site.polygons.equals(
        read_site({"type": "MultiPolygon", "coordinates": [[SQUARE], [EAST]]}).polygons
    )


def test_csv_may_have_other_columns_and_a_datum() -> None:
    gcj = [convert(lon, lat, source=Datum.WGS84, target=Datum.GCJ02) for lon, lat in SQUARE]
    text = make_csv([("x", lat, lon, "a") for lon, lat in gcj], header="note, LAT , lon,Polygon")
    site = site_from_csv(text, datum=Datum.GCJ02, max_area_m2=CAP)
    assert shapely.hausdorff_distance(site.polygons, shapely.Polygon(SQUARE)) < 1e-7


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        ("", SiteFlaw.NOT_CSV),
        ("a,b\n1,2\n", SiteFlaw.NOT_CSV),
        (make_csv([("a", "x", 1)]), SiteFlaw.NOT_CSV),
        (make_csv([("a", 113.6)]), SiteFlaw.NOT_CSV),
        ("polygon,lon,lat\n", SiteFlaw.EMPTY),
        (make_csv([("a", 113.6, 34.7), ("a", 113.7, 34.7)]), SiteFlaw.TOO_FEW_VERTICES),
        (make_csv([("a", "nan", 34.7)] * 4), SiteFlaw.NOT_FINITE),
        (make_csv([("a", lat, lon) for lon, lat in SQUARE]), SiteFlaw.AXES_SWAPPED),
    ],
)
def test_invalid_csv_is_rejected_with_its_flaw(text: str, flaw: SiteFlaw) -> None:
    with pytest.raises(SiteInvalid) as refusal:
        site_from_csv(text, datum=Datum.WGS84, max_area_m2=CAP)
    assert refusal.value.params["reason"] is flaw


@given(text=st.text())
def test_any_text_as_csv_is_rejected_without_a_crash(text: str) -> None:
    with pytest.raises(SiteInvalid):
        site_from_csv("polygon,lon,lat\n" + text, datum=Datum.WGS84, max_area_m2=CAP)


def test_long_edges_are_straight_in_degrees(
    rectangle: Callable[[float, float], Site],
) -> None:
    site = rectangle(0.5, 0.01)  # 92 km along a parallel, which bends 73 m away from the chord
    assert distance(site, 113.6, 34.71) == pytest.approx(0.0, abs=0.05)

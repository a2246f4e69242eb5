"""Parsing outlines under the policy of a day."""

import json
from datetime import date

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from backend.campus.errors import SiteRefused
from backend.campus.limits import site_limits
from backend.campus.outline import Outline, parse_outline
from backend.policy import AbsentLaw, load_policies
from geo.datum import Datum
from geo.local_projection import LocalPlane
from tests.support.campus import csv_of, henan_policy, parsed_outline, polygon, rectangle

pytestmark = pytest.mark.clause("HN334-3.4")


def metres_apart(one: shapely.MultiPolygon, other: shapely.MultiPolygon) -> float:
    """The Hausdorff distance of two outlines in metres."""
    plane = LocalPlane(one.centroid.x, one.centroid.y)

    def flat(outline: shapely.MultiPolygon) -> shapely.Geometry:
        return shapely.transform(outline, lambda degrees: np.column_stack(plane.project(*degrees.T)))

    return float(shapely.hausdorff_distance(flat(one), flat(other)))


_henan = st.tuples(st.floats(110.5, 116.5), st.floats(31.5, 36.3), st.floats(0.0005, 0.012))


@given(_henan, st.sampled_from([Datum.GCJ02, Datum.BD09]), st.booleans())
def test_an_outline_in_a_chinese_datum_is_within_a_metre_of_wgs84(
    place: tuple[float, float, float], datum: Datum, as_csv: bool
) -> None:
    ring = rectangle(*place)
    twin = parsed_outline(ring)
    if as_csv:
        shifted = parse_outline(Outline("csv", datum, csv_of(ring, datum)), site_limits(henan_policy()))
    else:
        shifted = parsed_outline(ring, datum=datum)
    assert metres_apart(twin.site.polygons, shifted.site.polygons) < 1.0
    assert shifted.site.area_m2 == pytest.approx(twin.site.area_m2, rel=1e-4)


def test_a_wrong_datum_shifts_an_outline_by_hundreds_of_metres() -> None:
    undeclared = Outline("geojson", Datum.WGS84, json.dumps(polygon(rectangle(), datum=Datum.GCJ02)))
    apart = metres_apart(
        parsed_outline().site.polygons, parse_outline(undeclared, site_limits(henan_policy())).site.polygons
    )
    assert 450 < apart < 700


def test_an_outline_above_the_maximum_area_is_refused() -> None:
    cap = henan_policy().integer("campus.site.max_area")
    with pytest.raises(SiteRefused, match=f"above the cap of {cap} m²") as refused:
        parsed_outline(rectangle(side=0.03))
    assert refused.value.cause.code == "site_too_large"


def test_an_outline_with_too_many_vertices_is_refused() -> None:
    limit = henan_policy().integer("campus.site.max_vertices")
    circle = shapely.Point(113.62, 34.75).buffer(0.003, quad_segs=limit // 4 + 1)
    assert isinstance(circle, shapely.Polygon)
    with pytest.raises(SiteRefused) as refused:
        parsed_outline([(lon, lat) for lon, lat in circle.exterior.coords])
    assert refused.value.cause.code == "site_too_detailed"


@pytest.mark.parametrize(
    ("form", "text", "reason"),
    [
        ("geojson", "not json", "not_geojson"),
        ("geojson", '{"type": "Point", "coordinates": [113.62, 34.75]}', "not_polygon"),
        (
            "geojson",
            '{"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}',
            "self_inters",
        ),
        ("geojson", '{"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, NaN], [0, 0]]]}', "not_finite"),
        ("csv", "lon,lat\n1,2", "not_csv"),
        ("csv", "polygon,lon,lat\na,34.75,113.62\na,34.76,113.62\na,34.76,113.63", "axes_swapped"),
    ],
)
def test_an_invalid_outline_names_its_flaw(form: str, text: str, reason: str) -> None:
    with pytest.raises(SiteRefused) as refused:
        parse_outline(
            Outline("geojson" if form == "geojson" else "csv", Datum.WGS84, text), site_limits(henan_policy())
        )
    assert str(refused.value.cause.params["reason"]).startswith(reason)
    assert refused.value.sentence("zh") != refused.value.sentence("en")


def test_without_a_policy_in_force_no_outline_is_accepted() -> None:
    before = load_policies().at(date(2020, 1, 1), "410100")
    with pytest.raises(AbsentLaw):
        parse_outline(Outline("geojson", Datum.WGS84, json.dumps(polygon(rectangle()))), site_limits(before))

"""GeoJSON as offices send it: coordinate reference systems, features without geometry, other types, holes as features."""

from typing import Any

import pytest

from geo.datum import Datum
from geo.errors import SiteInvalid
from geo.outline_checks import find_swallowed
from geo.site import SiteFlaw
from geo.site_files import read_csv, read_geojson, read_geojson_text, site_from_geojson

SQUARE = [[113.529, 34.819], [113.533, 34.819], [113.533, 34.822], [113.529, 34.822], [113.529, 34.819]]
INNER = [[113.530, 34.820], [113.531, 34.820], [113.531, 34.821], [113.530, 34.821], [113.530, 34.820]]
EAST = [[lon + 0.01, lat] for lon, lat in SQUARE]


def polygon(*rings: object) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def feature(geometry: object, name: str | None = None) -> dict[str, Any]:
    return {"type": "Feature", "properties": {"name": name}, "geometry": geometry}


def collection(*features: object, **members: object) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features), **members}


def named_crs(name: object) -> dict[str, Any]:
    return {"type": "name", "properties": {"name": name}}


def refusal(document: object) -> SiteInvalid:
    with pytest.raises(SiteInvalid) as refused:
        read_geojson(document)
    return refused.value


@pytest.mark.parametrize(
    "name",
    [
        *("urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:OGC::CRS84", "OGC:CRS84", "CRS84"),
        *("urn:ogc:def:crs:EPSG::4326", "EPSG:4326", "epsg:4490", "urn:ogc:def:crs:EPSG::4490"),
        *("urn:ogc:def:crs:EPSG:9.9:4326", "http://www.opengis.net/def/crs/OGC/1.3/CRS84"),
        "http://www.opengis.net/def/crs/EPSG/0/4490",
    ],
)
def test_crs_of_wgs84_and_cgcs2000_is_accepted(name: str) -> None:
    document = collection(feature(polygon(SQUARE)), crs=named_crs(name))
    site = site_from_geojson(document, datum=Datum.WGS84, max_area_m2=1e6)
    assert site.polygons.bounds == pytest.approx((113.529, 34.819, 113.533, 34.822))


@pytest.mark.parametrize(
    ("crs", "shown"),
    [
        (named_crs("urn:ogc:def:crs:EPSG::4214"), "urn:ogc:def:crs:EPSG::4214"),
        (named_crs("EPSG:4610"), "EPSG:4610"),
        (named_crs("EPSG:44900"), "EPSG:44900"),
        (named_crs("urn:ogc:def:crs:EPSG::3857"), "3857"),
        ({"type": "EPSG", "properties": {"code": 4214}}, "EPSG:4214"),
        ({"type": "link", "properties": {"href": "http://example.invalid/crs"}}, "example.invalid"),
        (named_crs(7), '"name": 7'),
    ],
)
def test_other_crs_is_refused_by_name(crs: dict[str, Any], shown: str) -> None:
    for document in (
        collection(feature(polygon(SQUARE)), crs=crs),
        {**feature(polygon(SQUARE)), "crs": crs},
        collection(feature({**polygon(SQUARE), "crs": crs})),
    ):
        error = refusal(document)
        assert error.params["reason"] is SiteFlaw.CRS_UNSUPPORTED
        assert shown in error.sentence("zh")
        assert "CGCS2000" in error.sentence("en")


def test_crs_without_a_system_is_ignored() -> None:
    assert len(read_geojson(collection(feature(polygon(SQUARE)), crs=None)).outlines) == 1


def test_features_without_geometry_are_skipped_and_named() -> None:
    file = read_geojson(collection(feature(polygon(SQUARE), "校园"), feature(None, "未画"), feature(None)))
    assert [named.name for named in file.outlines] == ["features[0] “校园”"]
    assert file.skipped == ("features[1] “未画”", "features[2]")


def test_file_without_any_geometry_is_empty() -> None:
    with pytest.raises(SiteInvalid) as refused:
        site_from_geojson(collection(feature(None)), datum=Datum.WGS84, max_area_m2=1e6)
    assert refused.value.params["reason"] is SiteFlaw.EMPTY


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": [113.5, 34.8]},
        {"type": "LineString", "coordinates": SQUARE},
        {"type": "GeometryCollection", "geometries": [polygon(SQUARE)]},
    ],
)
def test_feature_of_another_type_is_named_with_its_index(geometry: dict[str, Any]) -> None:
    error = refusal(collection(feature(polygon(SQUARE)), feature(geometry, "校门")))
    assert error.params["reason"] is SiteFlaw.NOT_POLYGON
    assert f"features[1] “校门”: {geometry['type']}" in error.sentence("zh")


@pytest.mark.parametrize(
    "document",
    [feature(feature(polygon(SQUARE))), collection(collection()), collection(polygon(SQUARE)), [], None],
)
def test_nested_features_are_no_geojson(document: object) -> None:
    assert refusal(document).params["reason"] is SiteFlaw.NOT_GEOJSON


def test_byte_order_mark_is_ignored() -> None:
    assert read_geojson_text('\ufeff{"type": "Polygon", "coordinates": []}').outlines == ()


def test_hole_drawn_as_its_own_feature_is_found() -> None:
    file = read_geojson(collection(feature(polygon(SQUARE), "校园"), feature(polygon(INNER), "湖")))
    assert find_swallowed(file.outlines) == [("features[1] “湖”", "features[0] “校园”")]


@pytest.mark.parametrize(
    "features",
    [
        [polygon(SQUARE, INNER)],
        [polygon(SQUARE, INNER), polygon(INNER)],  # an island that fills the hole
        [polygon(SQUARE), polygon(EAST)],
    ],
)
def test_real_holes_and_separate_parts_are_not_swallowed(features: list[dict[str, Any]]) -> None:
    file = read_geojson(collection(*map(feature, features)))
    assert find_swallowed(file.outlines) == []


def test_repeated_polygon_is_found_once() -> None:
    file = read_geojson({"type": "MultiPolygon", "coordinates": [[SQUARE], [SQUARE]]})
    assert find_swallowed(file.outlines) == [("polygons[1]", "polygons[0]")]


def test_swallowed_polygon_of_a_csv_has_its_name() -> None:
    rows = [f"{name},{lon},{lat}" for name, ring in (("外", SQUARE), ("内", INNER)) for lon, lat in ring]
    assert find_swallowed(read_csv("\n".join(["polygon,lon,lat", *rows])).outlines) == [("内", "外")]

"""Reads a site from a file: GeoJSON from a map editor, or a CSV of vertices from a surveyor.

Both are read in a declared datum and converted to WGS-84. The caller stores the original bytes with the result.
"""

import csv
import io
import json
from collections.abc import Iterator

from geo.datum import Datum
from geo.errors import SiteInvalid
from geo.site import Outline, Ring, Site, SiteFlaw, site_error

_CSV_COLUMNS = ("polygon", "lon", "lat")


def site_from_geojson(document: object, *, datum: Datum, max_area_m2: float) -> Site:
    """Build a site from parsed GeoJSON (RFC 7946): Polygon, MultiPolygon, or Feature or FeatureCollection of these.

    RFC 7946 only allows WGS-84; for a file drawn on 高德 or 百度 maps, pass its `datum`. Rings must be closed as the RFC
    requires, because an open ring is the sign of a truncated upload. Altitudes are ignored.
    """
    return Site.from_outlines(list(_read_outlines(document)), datum=datum, max_area_m2=max_area_m2)


def site_from_geojson_text(text: str, *, datum: Datum, max_area_m2: float) -> Site:
    """`site_from_geojson` for the text of a file, with or without a byte order mark."""
    try:
        document = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise site_error(SiteFlaw.NOT_GEOJSON, str(error)) from None
    return site_from_geojson(document, datum=datum, max_area_m2=max_area_m2)


def site_from_csv(text: str, *, datum: Datum, max_area_m2: float) -> Site:
    """Build a site from the columns `polygon,lon,lat`: one vertex per row, in order, grouped by the polygon's name.

    Rings are closed automatically, so the first vertex need not be repeated. Holes require GeoJSON.
    """
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), skipinitialspace=True)
    columns = [name.strip().lower() for name in rows.fieldnames or []]
    if not set(_CSV_COLUMNS) <= set(columns):
        raise site_error(SiteFlaw.NOT_CSV)
    rows.fieldnames = columns
    rings: dict[str, list[tuple[float, float]]] = {}
    try:
        for row in rows:
            name, lon, lat = ((row[column] or "").strip() for column in _CSV_COLUMNS)
            rings.setdefault(name, []).append((float(lon), float(lat)))
    except (ValueError, csv.Error):
        raise site_error(SiteFlaw.NOT_CSV, f"line {rows.line_num}") from None
    outlines = [[_close_ring(ring)] for ring in rings.values()]
    return Site.from_outlines(outlines, datum=datum, max_area_m2=max_area_m2)


def _close_ring(ring: list[tuple[float, float]]) -> Ring:
    return ring if ring[0] == ring[-1] else [*ring, ring[0]]


def _read_outlines(document: object) -> Iterator[Outline]:
    """Every polygon of a GeoJSON object, in order."""
    match document:
        case {"type": "FeatureCollection", "features": list(features)}:
            for feature in features:
                if not isinstance(feature, dict) or feature.get("type") != "Feature":
                    raise site_error(SiteFlaw.NOT_GEOJSON, "features")
                yield from _read_outlines(feature)
        case {"type": "Feature", "geometry": {"type": "Polygon" | "MultiPolygon"} as geometry}:
            yield from _read_outlines(geometry)
        case {"type": "MultiPolygon", "coordinates": list(polygons)}:
            for polygon in polygons:
                yield _read_outline(polygon)
        case {"type": "Polygon", "coordinates": list(polygon)}:
            if polygon:
                yield _read_outline(polygon)
        case {"type": str(kind)}:
            raise site_error(SiteFlaw.NOT_POLYGON, kind)
        case _:
            raise site_error(SiteFlaw.NOT_GEOJSON)


def _read_outline(polygon: object) -> Outline:
    if not isinstance(polygon, list) or not all(isinstance(ring, list) for ring in polygon):
        raise _malformed_coordinates()
    return [[_read_vertex(position) for position in ring] for ring in polygon]


def _read_vertex(position: object) -> tuple[float, float]:
    if not isinstance(position, list) or len(position) < len(("lon", "lat")):
        raise _malformed_coordinates()
    lon, lat = map(_read_number, position[:2])
    return lon, lat


def _read_number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _malformed_coordinates()
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        raise site_error(SiteFlaw.NOT_FINITE) from None


def _malformed_coordinates() -> SiteInvalid:
    return site_error(SiteFlaw.NOT_GEOJSON, "coordinates")

"""Reading a site from what people have: GeoJSON from a map editor, or a CSV of vertices from a surveyor.

Both are read in a declared datum and kept as WGS-84; the caller keeps the original bytes beside the result.
"""

import csv
import io
import json
from collections.abc import Iterator

from geo.datum import Datum
from geo.errors import SiteInvalid
from geo.site import Outline, Ring, Site, SiteFlaw, invalid

_CSV_COLUMNS = ("polygon", "lon", "lat")


def site_from_geojson(document: object, *, datum: Datum, max_area_m2: float) -> Site:
    """A site from parsed GeoJSON (RFC 7946): Polygon, MultiPolygon, Feature or FeatureCollection of these.

    RFC 7946 knows only WGS-84; a file drawn on 高德 or 百度 says so through `datum`. Rings must be closed, as
    the RFC demands: an open ring is how a truncated upload shows. Altitudes are ignored.
    """
    return Site.outlined(list(_outlines(document)), datum=datum, max_area_m2=max_area_m2)


def site_from_geojson_text(text: str, *, datum: Datum, max_area_m2: float) -> Site:
    """The same from the text of a GeoJSON file, with or without a byte order mark."""
    try:
        document = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise invalid(SiteFlaw.NOT_GEOJSON, str(error)) from None
    return site_from_geojson(document, datum=datum, max_area_m2=max_area_m2)


def site_from_csv(text: str, *, datum: Datum, max_area_m2: float) -> Site:
    """A site from the columns `polygon,lon,lat`: one vertex a row, in order, grouped by the polygon's name.

    A list of vertices closes itself; its first vertex need not be repeated. Holes need GeoJSON.
    """
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), skipinitialspace=True)
    columns = [name.strip().lower() for name in rows.fieldnames or []]
    if not set(_CSV_COLUMNS) <= set(columns):
        raise invalid(SiteFlaw.NOT_CSV)
    rows.fieldnames = columns
    rings: dict[str, list[tuple[float, float]]] = {}
    try:
        for row in rows:
            name, lon, lat = ((row[column] or "").strip() for column in _CSV_COLUMNS)
            rings.setdefault(name, []).append((float(lon), float(lat)))
    except (ValueError, csv.Error):
        raise invalid(SiteFlaw.NOT_CSV, f"line {rows.line_num}") from None
    outlines = [[_closed(ring)] for ring in rings.values()]
    return Site.outlined(outlines, datum=datum, max_area_m2=max_area_m2)


def _closed(ring: list[tuple[float, float]]) -> Ring:
    return ring if ring[0] == ring[-1] else [*ring, ring[0]]


def _outlines(document: object) -> Iterator[Outline]:
    """Every polygon of a GeoJSON object, in order."""
    match document:
        case {"type": "FeatureCollection", "features": list(features)}:
            for feature in features:
                if not isinstance(feature, dict) or feature.get("type") != "Feature":
                    raise invalid(SiteFlaw.NOT_GEOJSON, "features")
                yield from _outlines(feature)
        case {"type": "Feature", "geometry": {"type": "Polygon" | "MultiPolygon"} as geometry}:
            yield from _outlines(geometry)
        case {"type": "MultiPolygon", "coordinates": list(polygons)}:
            for polygon in polygons:
                yield _outline(polygon)
        case {"type": "Polygon", "coordinates": list(polygon)}:
            if polygon:
                yield _outline(polygon)
        case {"type": str(kind)}:
            raise invalid(SiteFlaw.NOT_POLYGON, kind)
        case _:
            raise invalid(SiteFlaw.NOT_GEOJSON)


def _outline(polygon: object) -> Outline:
    if not isinstance(polygon, list) or not all(isinstance(ring, list) for ring in polygon):
        raise _malformed()
    return [[_vertex(position) for position in ring] for ring in polygon]


def _vertex(position: object) -> tuple[float, float]:
    if not isinstance(position, list) or len(position) < len(("lon", "lat")):
        raise _malformed()
    lon, lat = map(_number, position[:2])
    return lon, lat


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _malformed()
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        raise invalid(SiteFlaw.NOT_FINITE) from None


def _malformed() -> SiteInvalid:
    return invalid(SiteFlaw.NOT_GEOJSON, "coordinates")

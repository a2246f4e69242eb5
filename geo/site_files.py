"""Reads a site from a file: GeoJSON from a map editor, or a CSV of vertices from a surveyor.

Both are read in a declared datum and converted to WGS-84. The caller stores the original bytes with the result.
KML and shapefiles are first converted to GeoJSON by `geo.vector_files`.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from geo.datum import Datum
from geo.errors import SiteInvalid
from geo.site import Outline, Ring, Site, SiteFlaw, site_error

_KNOWN_CRS = re.compile(
    r"(urn:ogc:def:crs:|https?://www\.opengis\.net/def/crs/)?"
    r"(OGC[:/]+(1\.3[:/])?(0[:/])?CRS84|CRS84|EPSG[:/]+([0-9.]+[:/])?(4326|4490))",
    re.IGNORECASE,
)
"""WGS 84 and CGCS2000, which differ by centimetres. Both are written with the longitude first, as GeoJSON demands."""
_MAX_NAME = 40
_WITH_GEOMETRY = frozenset({"Feature", "FeatureCollection"})

_CSV_COLUMNS = ("polygon", "lon", "lat")


@dataclass(frozen=True, slots=True)
class NamedOutline:
    """One polygon of a file, and what the file calls it: `features[0]`, or the polygon's name in a CSV."""

    name: str
    outline: Outline


@dataclass(frozen=True, slots=True)
class SiteFile:
    """The polygons of a file in its own datum, and the features without geometry, which were skipped."""

    outlines: tuple[NamedOutline, ...]
    skipped: tuple[str, ...] = ()

    def site(self, *, datum: Datum, max_area_m2: float) -> Site:
        """Build the site. Raises SiteInvalid or SiteTooLarge."""
        outlines = [named.outline for named in self.outlines]
        return Site.from_outlines(outlines, datum=datum, max_area_m2=max_area_m2)


def site_from_geojson(document: object, *, datum: Datum, max_area_m2: float) -> Site:
    """Build a site from parsed GeoJSON, see `read_geojson`."""
    return read_geojson(document).site(datum=datum, max_area_m2=max_area_m2)


def site_from_geojson_text(text: str, *, datum: Datum, max_area_m2: float) -> Site:
    """`site_from_geojson` for the text of a file, with or without a byte order mark."""
    return read_geojson_text(text).site(datum=datum, max_area_m2=max_area_m2)


def site_from_csv(text: str, *, datum: Datum, max_area_m2: float) -> Site:
    """Build a site from a CSV of vertices, see `read_csv`."""
    return read_csv(text).site(datum=datum, max_area_m2=max_area_m2)


def read_geojson(document: object) -> SiteFile:
    """Read parsed GeoJSON (RFC 7946): Polygon, MultiPolygon, or Feature or FeatureCollection of these.

    RFC 7946 only allows WGS-84; for a file drawn on 高德 or 百度 maps, pass its `datum` to `SiteFile.site`. A member
    `crs` of the older specification must name WGS 84 or CGCS2000. Rings must be closed as the RFC requires, because an
    open ring is the sign of a truncated upload. Altitudes are ignored. Features without geometry are skipped; a feature
    of another type is an error that names it.
    """
    skipped: list[str] = []
    outlines = tuple(_read_outlines(document, "", skipped))
    return SiteFile(outlines, tuple(skipped))


def read_geojson_text(text: str) -> SiteFile:
    """`read_geojson` for the text of a file, with or without a byte order mark."""
    try:
        document = json.loads(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise site_error(SiteFlaw.NOT_GEOJSON, f"line {error.lineno}, column {error.colno}") from None
    except (ValueError, RecursionError):
        raise site_error(SiteFlaw.NOT_GEOJSON) from None
    return read_geojson(document)


def read_csv(text: str) -> SiteFile:
    """Read the columns `polygon,lon,lat`: one vertex per row, in order, grouped by the polygon's name.

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
    return SiteFile(
        tuple(NamedOutline(name[:_MAX_NAME], [_close_ring(ring)]) for name, ring in rings.items())
    )


def _close_ring(ring: list[tuple[float, float]]) -> Ring:
    return ring if ring[0] == ring[-1] else [*ring, ring[0]]


def _read_outlines(document: object, where: str, skipped: list[str]) -> Iterator[NamedOutline]:
    """Every polygon of a GeoJSON object at the path `where`, in order."""
    if isinstance(document, dict):
        _check_crs(document)
    match document:
        case {"type": "FeatureCollection", "features": list(features)}:
            for index, feature in enumerate(features):
                if not isinstance(feature, dict) or feature.get("type") != "Feature":
                    raise site_error(SiteFlaw.NOT_GEOJSON, f"features[{index}]")
                yield from _read_outlines(feature, f"features[{index}]{_feature_name(feature)}", skipped)
        case {"type": "Feature", "geometry": None}:
            skipped.append(where or "Feature")
        case {"type": "Feature", "geometry": {"type": str(kind)} as geometry} if kind not in _WITH_GEOMETRY:
            yield from _read_outlines(geometry, where, skipped)
        case _:
            yield from _read_geometry(document, where)


def _read_geometry(geometry: object, where: str) -> Iterator[NamedOutline]:
    match geometry:
        case {"type": "MultiPolygon", "coordinates": list(polygons)}:
            for index, polygon in enumerate(polygons):
                name = f"{where} polygons[{index}]".lstrip() if len(polygons) > 1 else where
                yield NamedOutline(name, _read_outline(polygon))
        case {"type": "Polygon", "coordinates": list(polygon)}:
            if polygon:
                yield NamedOutline(where, _read_outline(polygon))
        case {"type": str(kind)} if kind not in _WITH_GEOMETRY:
            raise site_error(SiteFlaw.NOT_POLYGON, f"{where}: {kind}" if where else kind)
        case _:
            raise site_error(SiteFlaw.NOT_GEOJSON, where)


def _feature_name(feature: Mapping[str, Any]) -> str:
    """The name of a feature in quotation marks, as map editors store it."""
    properties = feature.get("properties")
    name = properties.get("name", properties.get("Name")) if isinstance(properties, dict) else None
    return f" “{name[:_MAX_NAME]}”" if isinstance(name, str) and name.strip() else ""


def _check_crs(document: Mapping[str, Any]) -> None:
    """Refuse a coordinate reference system of the older GeoJSON specification other than WGS 84 and CGCS2000."""
    match document.get("crs"):
        case None:
            return
        case {"type": "name", "properties": {"name": str(name)}}:
            pass
        case {"type": "EPSG", "properties": {"code": int() | str() as code}}:
            name = f"EPSG:{code}"
        case {"type": "link", "properties": {"href": str(name)}}:
            pass
        case other:
            name = json.dumps(other, ensure_ascii=False)
    if not _KNOWN_CRS.fullmatch(name.strip()):
        raise site_error(SiteFlaw.CRS_UNSUPPORTED, name[:100])


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

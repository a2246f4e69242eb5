"""Parsing a site's outline, checking it against the limits, and warning about what was probably not meant. Pure."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import shapely

from backend.campus.divisions import distance_to_division, load_division
from backend.campus.errors import SiteRefused, SiteTooDetailed
from backend.campus.limits import SiteLimits
from geo.datum import Datum
from geo.errors import GeoError
from geo.outline_checks import find_swallowed
from geo.site import Site
from geo.site_files import SiteFile, read_csv, read_geojson_text

OutlineFormat = Literal["geojson", "csv", "kml", "shapefile"]

OUTSIDE_DIVISION = "outside_division"


@dataclass(frozen=True, slots=True)
class Outline:
    """The original text of an outline, its format, and the declared datum of its coordinates.

    `converted`: the GeoJSON that was made of a KML or shapefile; the original of a shapefile is its archive in base64.
    """

    format: OutlineFormat
    datum: Datum
    text: str
    converted: str | None = None


@dataclass(frozen=True, slots=True)
class OutlineWarning:
    """A sign that an outline was drawn otherwise than meant. It does not prevent the filing; the superior sees it."""

    code: str
    zh: str
    en: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ParsedOutline:
    """A valid outline with its site in WGS-84, and the warnings about it."""

    outline: Outline
    site: Site
    warnings: tuple[OutlineWarning, ...] = ()

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in WGS-84 degrees."""
        west, south, east, north = self.site.polygons.bounds
        return west, south, east, north

    @property
    def geojson(self) -> dict[str, Any]:
        """The polygons as GeoJSON in WGS-84."""
        document: dict[str, Any] = json.loads(shapely.to_geojson(self.site.polygons))
        return document

    @property
    def vertices(self) -> int:
        """The number of vertices of all rings, closing vertices included."""
        return int(shapely.get_num_coordinates(self.site.polygons))


def parse_outline(outline: Outline, limits: SiteLimits) -> ParsedOutline:
    """Parse an outline; raises `SiteRefused` with the first flaw found.

    Takes some hundred milliseconds for the largest files, so call it before the transaction.
    """
    try:
        file = _read(outline)
        site = file.site(datum=outline.datum, max_area_m2=limits.max_area_m2)
        parsed = ParsedOutline(outline, site, tuple(_find_warnings(file, site, limits)))
        if parsed.vertices > limits.max_vertices:
            raise SiteTooDetailed(vertices=parsed.vertices, max_vertices=limits.max_vertices)
    except GeoError as error:
        raise SiteRefused(error) from error
    return parsed


def _read(outline: Outline) -> SiteFile:
    if outline.format == "csv":
        return read_csv(outline.text)
    if outline.format == "geojson":
        return read_geojson_text(outline.text)
    assert outline.converted is not None, "KML and shapefiles are converted first"
    return read_geojson_text(outline.converted)


def _find_warnings(file: SiteFile, site: Site, limits: SiteLimits) -> Iterator[OutlineWarning]:
    if file.skipped:
        count, names = len(file.skipped), "、".join(file.skipped[:5])
        yield OutlineWarning(
            "features_skipped",
            f"跳过了 {count} 个没有图形的要素：{names}。",
            f"{count} features without geometry were skipped: {names}.",
        )
    for inner, outer in find_swallowed(file.outlines):
        yield OutlineWarning(
            "polygon_within_another",
            f"{inner} 完全位于 {outer} 之内，不起作用。如要挖去这一块，请在同一多边形中画成洞。",
            f"{inner} lies entirely within {outer} and has no effect. To cut it out, draw it as a hole of that polygon.",
        )
    division = load_division(limits.division) if limits.division else None
    if division is not None:
        away = distance_to_division(site.polygons, division)
        if away > limits.division_tolerance_m:
            yield OutlineWarning(
                OUTSIDE_DIVISION,
                f"范围在{division.name}以外约 {away / 1000:.0f} 公里。请核对坐标系、经纬度和所属学校；实习点可以不在本地。",
                f"The outline is about {away / 1000:.0f} km outside {division.name}. Check datum, coordinates and school;"
                " an internship site may be elsewhere.",
            )

"""Parsing a site's outline and checking it against policy. Pure."""

from dataclasses import dataclass
from typing import Literal

import shapely

from backend.campus.errors import SiteRefused, SiteTooDetailed
from backend.policy import PolicyAt
from geo.datum import Datum
from geo.errors import GeoError
from geo.site import Site
from geo.site_files import site_from_csv, site_from_geojson_text

OutlineFormat = Literal["geojson", "csv"]


@dataclass(frozen=True, slots=True)
class Outline:
    """The original text of an outline, its format, and the declared datum of its coordinates."""

    format: OutlineFormat
    datum: Datum
    text: str


@dataclass(frozen=True, slots=True)
class ParsedOutline:
    """A valid outline with its site in WGS-84."""

    outline: Outline
    site: Site

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in WGS-84 degrees."""
        west, south, east, north = self.site.polygons.bounds
        return west, south, east, north

    @property
    def vertices(self) -> int:
        """The number of vertices of all rings, closing vertices included."""
        return int(shapely.get_num_coordinates(self.site.polygons))


def parse_outline(outline: Outline, policy: PolicyAt) -> ParsedOutline:
    """Parse an outline; raises `SiteRefused` with the first flaw found.

    Takes some hundred milliseconds for the largest files, so call it before the transaction.
    """
    parse = site_from_geojson_text if outline.format == "geojson" else site_from_csv
    try:
        site = parse(outline.text, datum=outline.datum, max_area_m2=policy.integer("campus.site.max_area"))
        parsed = ParsedOutline(outline, site)
        limit = policy.integer("campus.site.max_vertices")
        if parsed.vertices > limit:
            raise SiteTooDetailed(vertices=parsed.vertices, max_vertices=limit)
    except GeoError as error:
        raise SiteRefused(error) from error
    return parsed

"""From what a registrar drew to a site that may be filed, by the law of the day. Pure."""

from dataclasses import dataclass
from typing import Literal

import shapely

from backend.campus.errors import SiteRefused, SiteTooDetailed
from backend.policy import PolicyAt
from geo.datum import Datum
from geo.errors import GeoError
from geo.site import Site
from geo.site_files import site_from_csv, site_from_geojson_text

__all__ = ["Datum", "DrawnSite", "Outline", "OutlineFormat", "read_outline"]

OutlineFormat = Literal["geojson", "csv"]


@dataclass(frozen=True, slots=True)
class Outline:
    """The original as it came: text in a format, whose coordinates are of a declared datum."""

    format: OutlineFormat
    datum: Datum
    text: str


@dataclass(frozen=True, slots=True)
class DrawnSite:
    """An outline that was read and found fit, with the site it draws in WGS-84."""

    outline: Outline
    site: Site

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in WGS-84 degrees."""
        west, south, east, north = self.site.polygons.bounds
        return west, south, east, north

    @property
    def vertices(self) -> int:
        """Of all rings, the closing vertices included."""
        return int(shapely.get_num_coordinates(self.site.polygons))


def read_outline(outline: Outline, law: PolicyAt) -> DrawnSite:
    """The site an outline draws; raises `SiteRefused` with the first flaw found.

    Takes up to some hundred milliseconds for the largest files, so it runs before the transaction.
    """
    read = site_from_geojson_text if outline.format == "geojson" else site_from_csv
    try:
        site = read(outline.text, datum=outline.datum, max_area_m2=law.integer("campus.site.max_area"))
        drawn = DrawnSite(outline, site)
        limit = law.integer("campus.site.max_vertices")
        if drawn.vertices > limit:
            raise SiteTooDetailed(vertices=drawn.vertices, max_vertices=limit)
    except GeoError as error:
        raise SiteRefused(error) from error
    return drawn

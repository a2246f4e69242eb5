"""Sample outlines: rectangles near Zhengzhou, in any datum, as GeoJSON or CSV."""

import json
from datetime import date
from typing import Any

from backend.campus.limits import site_limits
from backend.campus.outline import Outline, ParsedOutline, parse_outline
from backend.org.paths import division_of
from backend.policy import PolicyAt, load_policies
from geo.datum import Datum, convert

WEST, SOUTH = 113.62, 34.75
SIDE = 0.005
POLICY_DAY = date(2026, 11, 20)


def henan_policy() -> PolicyAt:
    return load_policies().at(POLICY_DAY, division_of("p410000.c410100"))


def rectangle(west: float = WEST, south: float = SOUTH, side: float = SIDE) -> list[tuple[float, float]]:
    """A closed ring in degrees of WGS-84; 0.005 degrees are about 457 m by 555 m here."""
    east, north = west + side, south + side
    return [(west, south), (east, south), (east, north), (west, north), (west, south)]


def polygon(*rings: list[tuple[float, float]], datum: Datum = Datum.WGS84) -> dict[str, Any]:
    """GeoJSON of WGS-84 rings, each as one polygon, with coordinates in `datum`."""
    parsed_outline = [
        [[list(convert(lon, lat, source=Datum.WGS84, target=datum)) for lon, lat in ring]] for ring in rings
    ]
    return {"type": "MultiPolygon", "coordinates": parsed_outline}


def csv_of(ring: list[tuple[float, float]], datum: Datum = Datum.WGS84) -> str:
    """The vertices of one WGS-84 ring as a surveyor's CSV in `datum`."""
    points = [convert(lon, lat, source=Datum.WGS84, target=datum) for lon, lat in ring]
    return "\n".join(["polygon,lon,lat", *(f"主校区,{lon!r},{lat!r}" for lon, lat in points)])


def parsed_outline(*rings: list[tuple[float, float]], datum: Datum = Datum.WGS84) -> ParsedOutline:
    """The outline parsed from GeoJSON of the rings in `datum`."""
    outline = Outline("geojson", datum, json.dumps(polygon(*(rings or (rectangle(),)), datum=datum)))
    return parse_outline(outline, site_limits(henan_policy(), programmes=[]))

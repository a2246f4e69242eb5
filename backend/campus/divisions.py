"""The outlines of administrative divisions, to warn about a site that is filed for a school elsewhere.

`policies/divisions/<province>.json` has the simplified polygons of a province, its cities and counties, in degrees with
three decimals. They decide nothing; for a division without an outline no warning is given.
"""

import json
from dataclasses import dataclass
from functools import cache

import numpy as np
import shapely
from shapely import MultiPolygon

from backend.policy.loader import policies_directory
from geo.local_projection import LocalPlane


@dataclass(frozen=True, slots=True)
class Division:
    """A province, city or county with its code, name and simplified outline."""

    code: str
    name: str
    polygons: MultiPolygon


@cache
def load_division(code: str) -> Division | None:
    """The division with this code, if its outline is known."""
    return _load_province(code[:2]).get(code)


@cache
def _load_province(prefix: str) -> dict[str, Division]:
    path = policies_directory() / "divisions" / f"{prefix}0000.json"
    if not path.is_file():
        return {}
    document = json.loads(path.read_text(encoding="utf-8"))
    return {
        code: Division(
            code, entry["name"], MultiPolygon([(rings[0], rings[1:]) for rings in entry["polygons"]])
        )
        for code, entry in document.items()
    }


def distance_to_division(site: MultiPolygon, division: Division) -> float:
    """Metres between a site in WGS-84 and the division; 0 if they touch."""
    plane = LocalPlane(site.centroid.x, site.centroid.y)

    def flat(polygons: MultiPolygon) -> shapely.Geometry:
        return shapely.transform(polygons, lambda degrees: np.column_stack(plane.project(*degrees.T)))

    return float(shapely.distance(flat(site), flat(division.polygons)))

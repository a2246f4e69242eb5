"""Where schools and authorities are on a map: outlines derived from the approved sites, simplified for a small answer.

The outline of a school is its ground. The outline of an authority is the convex hull of its schools' grounds, not the
administrative boundary, which the product does not have. Internship sites are left out, because they can be in another
province.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.campus.queries import effective_versions
from backend.campus.tables import SiteVersion
from backend.core.ltree import Ltree
from backend.org.queries import is_in_subtree, schools_below
from backend.org.tables import OrgUnit

SIMPLIFIED_M = 10
"""Douglas-Peucker tolerance in metres."""
METRES_PER_DEGREE = 111_700
"""Of latitude, at most. A degree of longitude is shorter, so the distance in metres is never larger than stated."""
DECIMALS = 5
"""Of a coordinate in degrees: rounding moves a vertex by less than a metre."""
TOLERANCE_M = SIMPLIFIED_M + 1
"""No point of an outline is farther than this from the ground or hull that it stands for."""

_POLYGONS = 3
"""The type number of polygons in `ST_CollectionExtract`."""


@dataclass(frozen=True, slots=True)
class UnitOutline:
    """A unit with a point in its outline and the outline in WGS-84; both are None without an approved site."""

    id: UUID
    kind: str
    code: str
    name: str
    parent_id: UUID | None
    path: str
    centroid: tuple[float, float] | None
    """Longitude and latitude: of a school a point on its ground, of an authority the centroid of the hull."""
    outline: dict[str, Any] | None
    """A GeoJSON MultiPolygon."""


async def load_unit_outlines(
    session: AsyncSession, path: str, kind: str | None, at: datetime
) -> Sequence[UnitOutline]:
    """The unit at `path` and the units below it, optionally of one kind, ordered by path."""
    in_force = effective_versions(at, schools_below(path)).subquery("in_force")
    school = (
        select(OrgUnit.path, func.ST_Union(SiteVersion.polygons).label("ground"))
        .join(in_force, in_force.c.school_id == OrgUnit.id)
        .join(SiteVersion, SiteVersion.id == in_force.c.version_id)
        .where(in_force.c.kind != "internship")
        .group_by(OrgUnit.path)
        .cte("school")
    )
    grounds = func.ST_CollectionExtract(func.ST_Collect(school.c.ground), _POLYGONS)
    is_school = OrgUnit.kind == "school"
    outline = case((is_school, grounds), else_=func.ST_ConvexHull(grounds))
    simplified = func.ST_SimplifyPreserveTopology(outline, SIMPLIFIED_M / METRES_PER_DEGREE)
    centroid = case((is_school, func.ST_PointOnSurface(outline)), else_=func.ST_Centroid(outline))
    columns = (OrgUnit.id, OrgUnit.kind, OrgUnit.code, OrgUnit.name, OrgUnit.parent_id, OrgUnit.path)
    query = (
        select(
            *columns,
            func.ST_X(centroid),
            func.ST_Y(centroid),
            func.ST_AsGeoJSON(func.ST_Multi(simplified), DECIMALS, 0),
        )
        .outerjoin(school, school.c.path.op("<@", is_comparison=True)(OrgUnit.path.cast(Ltree())))
        .where(is_in_subtree(path))
        .group_by(*columns)
        .order_by(OrgUnit.path)
    )
    if kind is not None:
        query = query.where(OrgUnit.kind == kind)
    return [_unit_outline(*row) for row in await session.execute(query)]


def _unit_outline(
    id_: UUID,
    kind: str,
    code: str,
    name: str,
    parent_id: UUID | None,
    path: str,
    lon: float | None,
    lat: float | None,
    geojson: str | None,
) -> UnitOutline:
    centroid = None if lon is None or lat is None else (round(lon, DECIMALS), round(lat, DECIMALS))
    outline = None if geojson is None else json.loads(geojson)
    return UnitOutline(id_, kind, code, name, parent_id, path, centroid, outline)

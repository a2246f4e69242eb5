"""Fences for verification, built from the site versions that were frozen when a roll call was launched."""

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from math import inf
from uuid import UUID

import shapely
from shapely import MultiPolygon
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.campus.tables import SiteVersion
from backend.core.errors import NotFound
from geo.datum import Datum
from geo.errors import SiteInvalid
from geo.fence import FenceDecision, FenceThresholds, decide
from geo.location_fixes import Fix
from geo.site import Outline, Site

SITE_CACHE_SIZE = 2048
"""Cached fences per process, a few kilobytes each: more than the schools that one worker verifies in a window."""


async def load_sites(session: AsyncSession, version_ids: Collection[UUID]) -> tuple[Site, ...]:
    """The outlines of these versions as one fence, or as several if they are too far apart for one projection.

    Every call checks that all versions are in the scope; the cache only saves building the same outlines again.
    Raises `NotFound`.
    """
    requested = frozenset(version_ids)
    rows = await session.execute(
        select(func.ST_AsBinary(SiteVersion.polygons))
        .where(SiteVersion.id.in_(requested))
        .order_by(SiteVersion.id)
    )
    outlines = tuple(bytes(wkb) for (wkb,) in rows)
    if not requested or len(outlines) != len(requested):
        raise NotFound
    return _build_sites(outlines)


def decide_for_sites(
    fixes: Sequence[Fix], sites: Sequence[Site], thresholds: FenceThresholds
) -> FenceDecision:
    """Evaluate the fixes of one check-in against every fence; the fence with the highest probability counts (reading 9)."""
    decisions = [decide(fixes, site, thresholds) for site in sites]
    return max(decisions, key=lambda decision: (decision.probability_inside, -decision.distance_m))


@lru_cache(maxsize=SITE_CACHE_SIZE)
def _build_sites(outlines: tuple[bytes, ...]) -> tuple[Site, ...]:
    polygons_by_version = [_parse_multi_polygon(wkb) for wkb in outlines]
    try:
        return (_build_site(polygons_by_version),)
    except SiteInvalid:  # e.g. an internship in another province, hundreds of kilometres away
        return tuple(_build_site([polygons]) for polygons in polygons_by_version)


def _parse_multi_polygon(wkb: bytes) -> MultiPolygon:
    polygons = shapely.from_wkb(wkb)
    assert isinstance(polygons, MultiPolygon)
    return polygons


def _build_site(polygons_by_version: Sequence[MultiPolygon]) -> Site:
    """One fence for all polygons. Their areas were checked when they were filed."""
    outlines = [outline for polygons in polygons_by_version for outline in _iter_outlines(polygons)]
    return Site.from_outlines(outlines, datum=Datum.WGS84, max_area_m2=inf)


def _iter_outlines(polygons: MultiPolygon) -> Iterator[Outline]:
    for polygon in polygons.geoms:
        yield [[(lon, lat) for lon, lat in ring.coords] for ring in (polygon.exterior, *polygon.interiors)]

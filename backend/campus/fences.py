"""Fences for verification: from the versions a launch froze to sites that can judge a fix."""

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

PREPARED_FENCES = 2048
"""Kept by a process, each some kilobytes: more than the schools that one worker meets in a window."""


async def load_sites(session: AsyncSession, version_ids: Collection[UUID]) -> tuple[Site, ...]:
    """The places of these versions as one fence, or as several that lie too far apart to be drawn on one plane.

    The scope must admit every version, on every call: what is cached is only the preparation, by the content of
    the outlines. Raises `NotFound`.
    """
    wanted = frozenset(version_ids)
    rows = await session.execute(
        select(func.ST_AsBinary(SiteVersion.polygons))
        .where(SiteVersion.id.in_(wanted))
        .order_by(SiteVersion.id)
    )
    outlines = tuple(bytes(wkb) for (wkb,) in rows)
    if not wanted or len(outlines) != len(wanted):
        raise NotFound
    return _prepared(outlines)


def decide_any(fixes: Sequence[Fix], sites: Sequence[Site], thresholds: FenceThresholds) -> FenceDecision:
    """Judge the fixes of one check against every fence; the one most likely around them decides (reading 9)."""
    decisions = [decide(fixes, site, thresholds) for site in sites]
    return max(decisions, key=lambda decision: (decision.probability_inside, -decision.distance_m))


@lru_cache(maxsize=PREPARED_FENCES)
def _prepared(outlines: tuple[bytes, ...]) -> tuple[Site, ...]:
    filed = [_multi_polygon(wkb) for wkb in outlines]
    try:
        return (_site(filed),)
    except SiteInvalid:  # an internship in another province: hundreds of kilometres away
        return tuple(_site([polygons]) for polygons in filed)


def _multi_polygon(wkb: bytes) -> MultiPolygon:
    polygons = shapely.from_wkb(wkb)
    assert isinstance(polygons, MultiPolygon)
    return polygons


def _site(filed: Sequence[MultiPolygon]) -> Site:
    """A fence around all the polygons. Their areas were judged when they were filed, and not again."""
    outlines = [outline for polygons in filed for outline in _outlines(polygons)]
    return Site.outlined(outlines, datum=Datum.WGS84, max_area_m2=inf)


def _outlines(polygons: MultiPolygon) -> Iterator[Outline]:
    for polygon in polygons.geoms:
        yield [[(lon, lat) for lon, lat in ring.coords] for ring in (polygon.exterior, *polygon.interiors)]

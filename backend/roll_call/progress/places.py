"""Where the units of a roll call are on the map: the middle of the frozen sites, and a school's outlines themselves."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import cast, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.campus.tables import CampusSite, SiteVersion
from backend.core.actor import Actor
from backend.core.errors import NotPermitted
from backend.core.ltree import Ltree
from backend.org.queries import get_unit_in_subtree, is_in_subtree
from backend.org.tables import OrgUnit
from backend.roll_call.access import access_roll_call
from backend.roll_call.tables import RollCall, RollCallSite


@dataclass(frozen=True, slots=True)
class UnitPlace:
    """The middle of the sites below a unit, in degrees (WGS-84), and how many there are."""

    unit_id: UUID
    lon: float
    lat: float
    sites: int


@dataclass(frozen=True, slots=True)
class SiteOutline:
    """The outline of a site as frozen for the roll call: GeoJSON in WGS-84."""

    site_version_id: UUID
    name: str
    geojson: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Places:
    """The direct children of a unit that have sites; for a school its outlines instead."""

    unit_id: UUID
    units: list[UnitPlace]
    outlines: list[SiteOutline]


async def load_places(
    session: AsyncSession, actor: Actor, roll_call_id: UUID, unit_id: UUID | None, at: datetime
) -> Places:
    """The places of a unit, by default of the caller's own. They are those of the launch and never change.

    Raises `NotFound`, and `NotPermitted` for a counselor: outlines are for registrars and bureaus.
    """
    roll_call = await access_roll_call(session, actor, roll_call_id, at)
    unit = await get_unit_in_subtree(session, actor, unit_id or actor.org_id)
    if actor.role == "counselor":
        raise NotPermitted(
            reason_zh="办学地址的位置由学校管理员和教育局查看",
            reason_en="registrars and bureaus see where sites are",
        )
    if unit.kind == "school":
        return Places(unit.id, [], await _load_outlines(session, roll_call, unit.id))
    return Places(unit.id, await _load_middles(session, roll_call, unit.path), [])


async def _load_outlines(session: AsyncSession, roll_call: RollCall, school_id: UUID) -> list[SiteOutline]:
    rows = await session.execute(
        select(SiteVersion.id, CampusSite.name, func.ST_AsGeoJSON(SiteVersion.polygons, 6))
        .join(RollCallSite, RollCallSite.site_version_id == SiteVersion.id)
        .join(CampusSite, CampusSite.id == SiteVersion.site_id)
        .where(
            RollCallSite.term_code == roll_call.term_code,
            RollCallSite.roll_call_id == roll_call.id,
            RollCallSite.school_id == school_id,
        )
        .order_by(CampusSite.name, SiteVersion.id)
    )
    return [SiteOutline(version_id, name, json.loads(geojson)) for version_id, name, geojson in rows]


async def _load_middles(session: AsyncSession, roll_call: RollCall, path: str) -> list[UnitPlace]:
    """For each direct child of the unit at `path`, the mean of the centroids of the sites below it."""
    child = aliased(OrgUnit)
    level = path.count(".") + 2
    centroid = func.ST_Centroid(SiteVersion.polygons)
    rows = await session.execute(
        select(child.id, func.avg(func.ST_X(centroid)), func.avg(func.ST_Y(centroid)), func.count())
        .select_from(RollCallSite)
        .join(OrgUnit, OrgUnit.id == RollCallSite.school_id)
        .join(SiteVersion, SiteVersion.id == RollCallSite.site_version_id)
        .join(child, child.path == cast(func.subpath(OrgUnit.path, 0, text(str(level))), Ltree()))
        .where(
            RollCallSite.term_code == roll_call.term_code,
            RollCallSite.roll_call_id == roll_call.id,
            is_in_subtree(path),
        )
        .group_by(child.id)
        .order_by(child.id)
    )
    return [UnitPlace(*row) for row in rows]

"""Growing the tree: province → cities and directly administered counties → counties → schools (HN334-2.3)."""

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.audit import Act, record
from backend.core.errors import BadInput, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.org.divisions import Division, Divisions
from backend.org.errors import CodeTaken, CountyUnfit, ParentUnfit
from backend.org.paths import is_below, path_of
from backend.org.queries import unit_below, unit_by_code
from backend.org.tables import OrgUnit
from backend.policy.schema import DivisionLevel

SCHOOL_CODE = re.compile(r"[0-9]{10}", re.ASCII)
KINDS = {
    DivisionLevel.PROVINCE: "province",
    DivisionLevel.CITY: "city",
    DivisionLevel.DIRECT_COUNTY: "county",
}


@dataclass(frozen=True, slots=True)
class NewSchool:
    """A school to set up; `code` is the national ten-digit one (SD13-4: no school code, no account)."""

    code: str
    name: str
    parent_id: UUID


@dataclass(frozen=True, slots=True)
class NewCounty:
    """A county bureau to set up under the city of its division code."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class _Place:
    kind: str
    code: str
    name: str
    parent: OrgUnit | None


async def plant_province(session: AsyncSession, divisions: Divisions, code: str, at: datetime) -> OrgUnit:
    """The province of a division code with every filed division that reports to it; what is there stays.

    Runs under the province's wide scope (the deployment sets the tree up, not an account).
    """
    root = divisions.get(code)
    province = await _plant(session, root, None, at)
    for division in divisions.below(code):
        await _plant(session, division, province, at)
    return province


async def _plant(session: AsyncSession, division: Division, parent: OrgUnit | None, at: datetime) -> OrgUnit:
    place = _Place(KINDS[division.level], division.code, division.zh, parent)
    planted = await _add(session, place, at)
    return planted or await unit_by_code(session, place.kind, place.code)


async def add_county(
    session: AsyncSession, actor: Actor, county: NewCounty, divisions: Divisions, at: datetime
) -> OrgUnit:
    """Set up a county under its city; by the province or that city.

    Raises `CountyUnfit` for a code that is no county's, `CodeTaken`, and `NotFound` for another's city.
    """
    _must_be_authority(actor)
    city = await unit_by_code(session, "city", _city_of(county, divisions))
    if not is_below(city.path, actor.org_path):
        raise NotFound
    return await _set_up(session, _Place("county", county.code, county.name, city), at)


def _city_of(county: NewCounty, divisions: Divisions) -> str:
    try:
        above = divisions.superior_of(county.code)
    except NotFound:
        above = None
    if above is None or above.level is not DivisionLevel.CITY:
        raise CountyUnfit(county_code=county.code)
    return above.code


async def add_school(session: AsyncSession, actor: Actor, school: NewSchool, at: datetime) -> OrgUnit:
    """Set up a school under an authority of the caller's subtree; by the province or a bureau.

    A school directly under the province has the province itself as parent. Raises `NotFound` for a parent
    elsewhere, `ParentUnfit`, `CodeTaken`, and `BadInput` for a malformed code.
    """
    _must_be_authority(actor)
    if not SCHOOL_CODE.fullmatch(school.code):
        raise BadInput(
            field="code", reason_zh="学校标识码应为10位数字", reason_en="a school code has 10 digits"
        )
    parent = await unit_below(session, actor, school.parent_id)
    if parent.kind == "school":
        raise ParentUnfit
    return await _set_up(session, _Place("school", school.code, school.name, parent), at)


def _must_be_authority(actor: Actor) -> None:
    if actor.role not in {"province", "bureau"}:
        raise NotPermitted(
            reason_zh="机构由省、市、县教育行政部门建立", reason_en="units are set up by the authorities"
        )


async def _set_up(session: AsyncSession, place: _Place, at: datetime) -> OrgUnit:
    unit = await _add(session, place, at)
    if unit is None:
        raise CodeTaken(unit_code=place.code)
    after = {"code": unit.code, "name": unit.name, "path": unit.path}
    record(session, Act(f"{unit.kind}_added", "org_unit", str(unit.id), unit.path, after=after), at)
    return unit


async def _add(session: AsyncSession, place: _Place, at: datetime) -> OrgUnit | None:
    """The new unit, or None if its kind and code exist; of two at once, one gets the unit."""
    above = place.parent
    added = await session.scalar(
        insert(OrgUnit)
        .values(
            id=new_id(),
            kind=place.kind,
            code=place.code,
            name=place.name,
            parent_id=above.id if above else None,
            path=path_of(place.kind, place.code, above.path if above else None),
            created_at=at,
        )
        .on_conflict_do_nothing(index_elements=["kind", "code"])
        .returning(OrgUnit.id)
    )
    return await session.scalar(select(OrgUnit).where(OrgUnit.id == added)) if added else None

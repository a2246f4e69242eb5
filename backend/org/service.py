"""Creates the units: province → cities and directly administered counties → counties → schools (HN334-2.3)."""

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
from backend.org.paths import build_unit_path, is_below
from backend.org.queries import get_unit_by_code, get_unit_in_subtree
from backend.org.tables import OrgUnit
from backend.policy.schema import DivisionLevel

SCHOOL_CODE = re.compile(r"[0-9]{10}", re.ASCII)
KIND_OF_LEVEL = {
    DivisionLevel.PROVINCE: "province",
    DivisionLevel.CITY: "city",
    DivisionLevel.DIRECT_COUNTY: "county",
}


@dataclass(frozen=True, slots=True)
class NewSchool:
    """A school to create; `code` is the national code of ten digits (SD13-4: no school code, no account)."""

    code: str
    name: str
    parent_id: UUID


@dataclass(frozen=True, slots=True)
class NewCounty:
    """A county bureau to create under the city of its division code."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class _NewUnit:
    kind: str
    code: str
    name: str
    parent: OrgUnit | None


async def create_province(session: AsyncSession, divisions: Divisions, code: str, at: datetime) -> OrgUnit:
    """Create a province and every listed division that reports to it. Existing units stay unchanged.

    It runs in the wide scope of the province: the deployment creates these units, not an account.
    """
    root = divisions.get(code)
    province = await _get_or_create(session, root, None, at)
    for division in divisions.below(code):
        await _get_or_create(session, division, province, at)
    return province


async def _get_or_create(
    session: AsyncSession, division: Division, parent: OrgUnit | None, at: datetime
) -> OrgUnit:
    new = _NewUnit(KIND_OF_LEVEL[division.level], division.code, division.zh, parent)
    created = await _insert(session, new, at)
    return created or await get_unit_by_code(session, new.kind, new.code)


async def add_county(
    session: AsyncSession, actor: Actor, county: NewCounty, divisions: Divisions, at: datetime
) -> OrgUnit:
    """Create a county under its city. The province and that city may do so.

    Raises `CountyUnfit` if the code is not that of a county, `CodeTaken`, and `NotFound` for the city of another
    authority.
    """
    _require_authority(actor)
    city = await get_unit_by_code(session, "city", _city_code_of(county, divisions))
    if not is_below(city.path, actor.org_path):
        raise NotFound
    return await _create(session, _NewUnit("county", county.code, county.name, city), at)


def _city_code_of(county: NewCounty, divisions: Divisions) -> str:
    try:
        above = divisions.superior_of(county.code)
    except NotFound:
        above = None
    if above is None or above.level is not DivisionLevel.CITY:
        raise CountyUnfit(county_code=county.code)
    return above.code


async def add_school(session: AsyncSession, actor: Actor, school: NewSchool, at: datetime) -> OrgUnit:
    """Create a school under an authority in the actor's subtree. The province and bureaus may do so.

    The parent of a school directly under the province is the province. Raises `NotFound` for a parent outside the
    subtree, `ParentUnfit`, `CodeTaken`, and `BadInput` for a malformed code.
    """
    _require_authority(actor)
    if not SCHOOL_CODE.fullmatch(school.code):
        raise BadInput(
            field="code", reason_zh="学校标识码应为10位数字", reason_en="a school code must have 10 digits"
        )
    parent = await get_unit_in_subtree(session, actor, school.parent_id)
    if parent.kind == "school":
        raise ParentUnfit
    return await _create(session, _NewUnit("school", school.code, school.name, parent), at)


def _require_authority(actor: Actor) -> None:
    if actor.role not in {"province", "bureau"}:
        raise NotPermitted(
            reason_zh="机构由省、市、县教育行政部门建立", reason_en="only authorities create units"
        )


async def _create(session: AsyncSession, new: _NewUnit, at: datetime) -> OrgUnit:
    unit = await _insert(session, new, at)
    if unit is None:
        raise CodeTaken(unit_code=new.code)
    after = {"code": unit.code, "name": unit.name, "path": unit.path}
    record(session, Act(f"{unit.kind}_added", "org_unit", str(unit.id), unit.path, after=after), at)
    return unit


async def _insert(session: AsyncSession, new: _NewUnit, at: datetime) -> OrgUnit | None:
    """Insert a unit. Returns None if its kind and code exist already, also when two transactions do so at once."""
    parent = new.parent
    unit_id = await session.scalar(
        insert(OrgUnit)
        .values(
            id=new_id(),
            kind=new.kind,
            code=new.code,
            name=new.name,
            parent_id=parent.id if parent else None,
            path=build_unit_path(new.kind, new.code, parent.path if parent else None),
            created_at=at,
        )
        .on_conflict_do_nothing(index_elements=["kind", "code"])
        .returning(OrgUnit.id)
    )
    return await session.scalar(select(OrgUnit).where(OrgUnit.id == unit_id)) if unit_id else None

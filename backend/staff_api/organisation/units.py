"""The tree of authorities and schools."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import documented
from backend.core.web.schema_types import Line, Schema
from backend.org.divisions import Divisions
from backend.org.queries import UnitSearch, units_page
from backend.org.service import NewCounty, NewSchool, add_county, add_school
from backend.org.tables import OrgUnit
from backend.policy.installed import installed_policy
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import SearchText, page_of, position

router = APIRouter(prefix="/v1", tags=["机构 · units"])

UnitKind = Literal["province", "city", "county", "school"]


class UnitOut(BaseModel):
    """An authority or a school; `path` orders the tree, `parent_id` is null for the province."""

    id: UUID
    kind: UnitKind
    code: str = Field(examples=["4141000001"])
    name: str = Field(examples=["郑州市第一职业学校"])
    parent_id: UUID | None
    path: str = Field(examples=["p410000.c410100.s4141000001"])


class SchoolIn(Schema):
    """A school to set up under an authority; directly under the province, the parent is the province."""

    code: str = Field(pattern=r"^[0-9]{10}$", description="学校标识码", examples=["4141000001"])
    name: Line = Field(examples=["郑州市第一职业学校"])
    parent_id: UUID


class CountyIn(Schema):
    """A county bureau; its city follows from the division code."""

    code: str = Field(pattern=r"^[0-9]{6}$", description="行政区划代码", examples=["410122"])
    name: Line = Field(examples=["中牟县"])


def _unit_out(unit: OrgUnit) -> UnitOut:
    return UnitOut.model_validate(unit, from_attributes=True)


@router.get("/units", responses=documented(401, 403, 422))
async def list_units(
    caller: StaffCaller,
    kind: Annotated[UnitKind | None, Query(description="只列某类机构 · only of this kind")] = None,
    q: SearchText = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[UnitOut]:
    """本单位及下级机构 · The caller's own unit and those below it, in the order of the tree."""
    async with caller.transaction() as session:
        search = UnitSearch(kind=kind, text=q)
        rows = await units_page(session, caller.actor, search, position(cursor), limit + 1)
    return page_of(rows, limit, _unit_out, lambda unit: unit.path)


@router.post("/schools", status_code=201, responses=documented(400, 401, 403, 404, 409, 422))
async def post_school(caller: StaffCaller, body: SchoolIn) -> UnitOut:
    """建立学校 · Set up a school; by the province or a bureau above it."""
    new = NewSchool(code=body.code, name=body.name, parent_id=body.parent_id)
    async with caller.transaction() as session:
        school = await add_school(session, caller.actor, new, caller.at)
    return _unit_out(school)


@router.post("/counties", status_code=201, responses=documented(400, 401, 403, 404, 409, 422))
async def post_county(caller: StaffCaller, body: CountyIn) -> UnitOut:
    """建立县（市、区）机构 · Set up a county bureau under its city."""
    divisions = Divisions.of(installed_policy())
    async with caller.transaction() as session:
        county = await add_county(
            session, caller.actor, NewCounty(body.code, body.name), divisions, caller.at
        )
    return _unit_out(county)

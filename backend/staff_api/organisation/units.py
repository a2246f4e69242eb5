"""Routes of the tree of authorities and schools."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response

from backend.campus.schemas import SchoolOut, UnitOutlineOut, UnitOutlinesOut
from backend.campus.schools import SchoolSearch, SchoolSort, load_school_page
from backend.campus.unit_outlines import TOLERANCE_M, load_unit_outlines
from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.conditional import NOT_MODIFIED, IfNoneMatch, not_modified_response, weak_etag
from backend.core.web.problems import problem_responses
from backend.org.divisions import Divisions
from backend.org.queries import UnitSearch, find_units, get_unit_in_subtree
from backend.org.schemas import CountyIn, SchoolIn, UnitKind, UnitOut
from backend.org.service import NewCounty, NewSchool, add_county, add_school
from backend.org.tables import OrgUnit
from backend.policy.installed import installed_policy
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import SearchText, UnitFilter, build_page, cursor_key

router = APIRouter(prefix="/v1", tags=["机构 · units"])


def _unit_out(unit: OrgUnit) -> UnitOut:
    return UnitOut.model_validate(unit, from_attributes=True)


@router.get("/units", responses=problem_responses(401, 403, 422))
async def list_units(
    caller: StaffCaller,
    kind: Annotated[UnitKind | None, Query(description="只列某类机构 · only of this kind")] = None,
    parent_id: Annotated[
        UUID | None, Query(description="只列某机构的直属下级 · only the units directly below this one")
    ] = None,
    q: SearchText = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[UnitOut]:
    """本单位及下级机构 · The caller's own unit and the units below it, ordered by path."""
    async with caller.transaction() as session:
        search = UnitSearch(kind=kind, text=q, parent_id=parent_id)
        rows = await find_units(session, caller.actor, search, cursor_key(cursor), limit + 1)
    return build_page(rows, limit, _unit_out, lambda unit: unit.path)


@router.get("/schools", responses=problem_responses(401, 403, 404, 422))
async def list_schools(
    caller: StaffCaller,
    unit_id: UnitFilter = None,
    has_site: Annotated[
        bool | None, Query(description="是否有现行有效的办学地址 · with or without a site in force")
    ] = None,
    q: SearchText = None,
    sort: SchoolSort = "code",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[SchoolOut]:
    """本单位及下级的学校，按名称或代码开头查找 · Schools of the own unit, found by part of a name or the beginning of a code."""
    search = SchoolSearch(q, unit_id, has_site)
    async with caller.transaction() as session:
        page = await load_school_page(
            session, caller.actor, search, caller.at, PageRequest(limit, cursor, sort, total)
        )
    return page.render_counted(SchoolOut.model_validate)


@router.get(
    "/unit-outlines",
    response_model=UnitOutlinesOut,
    responses={**NOT_MODIFIED, **problem_responses(401, 403, 404, 422)},
)
async def list_unit_outlines(
    caller: StaffCaller,
    unit_id: Annotated[
        UUID | None,
        Query(description="某单位及其下级，默认为本单位 · this unit and those below; by default the own"),
    ] = None,
    kind: Annotated[UnitKind | None, Query(description="只列某类机构 · only of this kind")] = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """地图上的机构 · The units on a map: a point and a simplified outline from the approved sites."""
    async with caller.transaction() as session:
        path = caller.actor.org_path
        if unit_id is not None:
            path = (await get_unit_in_subtree(session, caller.actor, unit_id)).path
        outlines = await load_unit_outlines(session, path, kind, caller.at)
    items = [UnitOutlineOut.model_validate(each) for each in outlines]
    body = UnitOutlinesOut(tolerance_m=TOLERANCE_M, items=items).model_dump_json()
    tag = weak_etag(body)
    unchanged = not_modified_response(tag, if_none_match)
    return unchanged or Response(body, media_type="application/json", headers={"ETag": tag})


@router.post("/schools", status_code=201, responses=problem_responses(400, 401, 403, 404, 409, 422))
async def create_school(caller: StaffCaller, body: SchoolIn) -> UnitOut:
    """建立学校 · Create a school. The province and the bureaus above it may do so."""
    new = NewSchool(code=body.code, name=body.name, parent_id=body.parent_id)
    async with caller.transaction() as session:
        school = await add_school(session, caller.actor, new, caller.at)
    return _unit_out(school)


@router.post("/counties", status_code=201, responses=problem_responses(400, 401, 403, 404, 409, 422))
async def create_county(caller: StaffCaller, body: CountyIn) -> UnitOut:
    """建立县（市、区）机构 · Create a county bureau under its city."""
    divisions = Divisions.of(installed_policy())
    async with caller.transaction() as session:
        county = await add_county(
            session, caller.actor, NewCounty(body.code, body.name), divisions, caller.at
        )
    return _unit_out(county)

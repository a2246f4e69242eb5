"""Staff endpoints for filed sites: the school files, the superior decides, both see every version (HN334-3.4)."""

import asyncio
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.campus.area_exceptions import (
    AreaException,
    grant_area_exception,
    load_area_exceptions,
    load_site_limits,
)
from backend.campus.errors import SiteRefused
from backend.campus.outline import Outline, ParsedOutline, parse_outline
from backend.campus.queries import SiteSearch, SiteSort, VersionView, load_site, load_site_page
from backend.campus.schemas import (
    AreaExceptionIn,
    AreaExceptionOut,
    AreaExceptionsOut,
    FilingIn,
    FilingStatus,
    OutlineCheckIn,
    OutlineCheckOut,
    OutlineProblem,
    OutlineWarningOut,
    SiteDecisionIn,
    SiteDecisionOut,
    SiteDetailOut,
    SiteIn,
    SiteOut,
    VersionOut,
    site_detail_out,
    site_out,
    version_out,
)
from backend.campus.service import Filing, FilingDecision, NewSite, decide_filing, file_site, file_version
from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit
from backend.core.web.problems import problem_responses
from backend.core.web.requests import Caller
from backend.core.web.schema_types import printable
from backend.identity.names import with_names
from backend.staff_api.caller import StaffCaller
from backend.staff_api.organisation.outline_files import convert_outline
from backend.staff_api.pagination import SearchText, UnitFilter

router = APIRouter(prefix="/v1", tags=["备案办学地址 · filed sites"])


async def _parse(caller: Caller, outline: Outline, at: datetime) -> ParsedOutline:
    """Parse an outline under the limits of the caller's school, outside the event loop and any transaction."""
    async with caller.transaction() as session:
        limits = await load_site_limits(session, caller.actor, at)
    outline = await convert_outline(outline)
    return await asyncio.to_thread(parse_outline, outline, limits)


async def _filing(caller: Caller, body: FilingIn, at: datetime) -> Filing:
    parsed = await _parse(caller, body.outline.outline(), at)
    return Filing(parsed, body.valid_from, body.valid_to, body.note)


@router.get("/sites", responses=problem_responses(401, 403, 404, 422))
@with_names
async def list_sites(
    caller: StaffCaller,
    school_id: Annotated[UUID | None, Query(description="只列某校 · only of this school")] = None,
    status: Annotated[
        FilingStatus | None, Query(description="只列有此状态备案的地址 · with a filing of this status")
    ] = None,
    unit_id: UnitFilter = None,
    q: SearchText = None,
    sort: SiteSort = "created_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[SiteOut]:
    """备案办学地址 · List the filed sites of the caller's school, or of the schools below the caller."""
    search = SiteSearch(school_id, status, unit_id, q)
    async with caller.transaction() as session:
        page = await load_site_page(
            session, caller.actor, search, caller.at, PageRequest(limit, cursor, sort, total)
        )
    return page.render_counted(site_out)


@router.post("/sites", status_code=201, responses=problem_responses(400, 401, 403, 409, 422))
@with_names
async def propose_new_site(caller: StaffCaller, body: SiteIn) -> SiteDetailOut:
    """备案新的办学地址 · File a new site; by the school's registrar."""
    at = caller.at
    filing = await _filing(caller, body, at)
    new = NewSite(body.name, body.kind, body.address)
    async with caller.transaction() as session:
        version = await file_site(session, caller.actor, new, filing, at)
        view = await load_site(session, version.site_id, at)
    return site_detail_out(view)


@router.post("/sites/validation", responses=problem_responses(400, 401, 403, 422))
async def check_site_outline(caller: StaffCaller, body: OutlineCheckIn) -> OutlineCheckOut:
    """试验范围 · Validate an outline: flaws, area and location. Nothing is stored."""
    try:
        parsed = await _parse(caller, body.outline.outline(), caller.at)
    except SiteRefused as refused:
        flaw = refused.cause
        reason = flaw.params.get("reason")
        problem = OutlineProblem(
            code=flaw.code,
            reason=None if reason is None else printable(str(reason)),
            zh=printable(flaw.sentence("zh")),
            en=printable(flaw.sentence("en")),
            place=flaw.params.get("place"),
        )
        return OutlineCheckOut(
            valid=False, problems=[problem], warnings=[], area_m2=None, vertices=None, bbox=None, geojson=None
        )
    return OutlineCheckOut(
        valid=True,
        problems=[],
        warnings=[OutlineWarningOut.model_validate(warning) for warning in parsed.warnings],
        area_m2=parsed.site.area_m2,
        vertices=parsed.vertices,
        bbox=parsed.bounds,
        geojson=parsed.geojson,
    )


@router.get("/sites/{site_id}", responses=problem_responses(401, 403, 404, 422))
@with_names
async def get_site(caller: StaffCaller, site_id: UUID) -> SiteDetailOut:
    """一处办学地址的全部版本 · Get a site with every version."""
    async with caller.transaction() as session:
        view = await load_site(session, site_id, caller.at)
    return site_detail_out(view)


@router.post(
    "/sites/{site_id}/versions", status_code=201, responses=problem_responses(400, 401, 403, 404, 422)
)
@with_names
async def propose_site_version(caller: StaffCaller, site_id: UUID, body: FilingIn) -> VersionOut:
    """提交新版本 · File another version of a site; earlier versions are kept."""
    at = caller.at
    filing = await _filing(caller, body, at)
    async with caller.transaction() as session:
        version = await file_version(session, caller.actor, site_id, filing, at)
    return version_out(VersionView(version, None))


@router.post(
    "/site-versions/{version_id}/decision",
    status_code=201,
    responses=problem_responses(400, 401, 403, 404, 409, 422),
)
@with_names
async def decide_site_version(caller: StaffCaller, version_id: UUID, body: SiteDecisionIn) -> SiteDecisionOut:
    """审核备案 · Approve or reject a filing, once; by a superior of the school."""
    decision = FilingDecision(body.outcome, body.opinion)
    async with caller.transaction() as session:
        decided = await decide_filing(session, caller.actor, version_id, decision, caller.at)
    return SiteDecisionOut.model_validate(decided, from_attributes=True)


@router.post(
    "/schools/{school_id}/site-area-exceptions",
    status_code=201,
    responses=problem_responses(400, 401, 403, 404, 422),
)
@with_names
async def create_area_exception(
    caller: StaffCaller, school_id: UUID, body: AreaExceptionIn
) -> AreaExceptionOut:
    """批准面积例外 · Permit a school to file larger sites than policy allows; by a superior of the school."""
    granted = AreaException(body.max_area_m2, body.reason, body.valid_to)
    async with caller.transaction() as session:
        row = await grant_area_exception(session, caller.actor, school_id, granted, caller.at)
    return AreaExceptionOut.model_validate(row)


@router.get("/schools/{school_id}/site-area-exceptions", responses=problem_responses(401, 403, 404, 422))
@with_names
async def list_area_exceptions(caller: StaffCaller, school_id: UUID) -> AreaExceptionsOut:
    """面积例外 · List the exceptions of a school, newest first."""
    async with caller.transaction() as session:
        rows = await load_area_exceptions(session, caller.actor, school_id)
    return AreaExceptionsOut(items=[AreaExceptionOut.model_validate(row) for row in rows])

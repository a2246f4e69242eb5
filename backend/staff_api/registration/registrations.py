"""Staff endpoints of registration: cut-offs, registrations, and permissions to add earlier students."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit
from backend.core.web.problems import problem_responses
from backend.identity.names import with_names
from backend.registration.permissions import PermitCarryOver, load_permission_page, permit_carry_over
from backend.registration.queries import (
    RegistrationSearch,
    RegistrationSort,
    SchoolRegistrationSort,
    SchoolSearch,
    load_registration_calendar,
    load_registration_page,
    load_school_page,
)
from backend.registration.rules import Basis, Season
from backend.registration.schemas import (
    SEASON_PATTERN,
    CarryOverPermissionIn,
    CarryOverPermissionOut,
    RegistrationCalendarOut,
    RegistrationOut,
    SchoolRegistrationsOut,
)
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import UnitFilter
from backend.staff_api.student_search import StudentSearchText, student_condition

router = APIRouter(prefix="/v1", tags=["学籍注册 · registration"])

SeasonCode = Annotated[
    str, Query(pattern=SEASON_PATTERN, description="招生季 · season", examples=["2026-autumn"])
]
PermissionSort = Literal["at", "-at"]


@router.get("/registration-calendar", responses=problem_responses(401, 403, 404, 409, 422))
async def get_registration_calendar(
    caller: StaffCaller, unit_id: UnitFilter = None
) -> RegistrationCalendarOut:
    """学籍注册截止日及依据 · The cut-offs of this year at the place of a unit, by default the own, with their sources."""
    async with caller.transaction() as session:
        calendar = await load_registration_calendar(session, caller.actor, unit_id, caller.at)
    return RegistrationCalendarOut.of(calendar)


@router.get("/registrations", responses=problem_responses(401, 403, 404, 422))
@with_names
async def list_registrations(
    caller: StaffCaller,
    season: SeasonCode | None = None,
    basis: Basis | None = None,
    late: Annotated[
        bool | None, Query(description="是否逾期建档 · whether the electronic record was late")
    ] = None,
    unit_id: UnitFilter = None,
    q: StudentSearchText = None,
    sort: RegistrationSort = "-at",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[RegistrationOut]:
    """学籍注册（新的在前） · The registrations of students, newest first."""
    search = RegistrationSearch(season, basis, late, unit_id, student_condition(caller, q))
    async with caller.transaction() as session:
        page = await load_registration_page(
            session, caller.actor, search, PageRequest(limit, cursor, sort, total)
        )
    return page.render_counted(RegistrationOut.of)


@router.get("/school-registrations", responses=problem_responses(401, 403, 404, 409, 422))
async def list_school_registrations(
    caller: StaffCaller,
    season: SeasonCode | None = None,
    unit_id: UnitFilter = None,
    sort: SchoolRegistrationSort = "code",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[SchoolRegistrationsOut]:
    """各校某招生季（默认当前）的注册人数 · The schools of a unit with the registrations of a season, by default the present."""
    search = SchoolSearch(Season.parse(season) if season else None, unit_id)
    async with caller.transaction() as session:
        page = await load_school_page(
            session, caller.actor, search, caller.at, PageRequest(limit, cursor, sort, total)
        )
    return page.render_counted(lambda row: SchoolRegistrationsOut.model_validate(row, from_attributes=True))


@router.post(
    "/schools/{school_id}/carry-over-permissions",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
@with_names
async def create_carry_over_permission(
    caller: StaffCaller, school_id: UUID, body: CarryOverPermissionIn
) -> CarryOverPermissionOut:
    """开通补录 · Permit a school below the own unit to add students who were registered before."""
    command = PermitCarryOver(school_id, body.until, body.reasons)
    async with caller.transaction() as session:
        permission = await permit_carry_over(session, caller.actor, command, caller.at)
    return CarryOverPermissionOut.of(permission)


@router.get("/carry-over-permissions", responses=problem_responses(401, 403, 404, 422))
@with_names
async def list_carry_over_permissions(
    caller: StaffCaller,
    unit_id: UnitFilter = None,
    sort: PermissionSort = "-at",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[CarryOverPermissionOut]:
    """补录许可（新的在前） · Permissions to add earlier students, newest first."""
    async with caller.transaction() as session:
        page = await load_permission_page(
            session, caller.actor, unit_id, PageRequest(limit, cursor, sort, total)
        )
    return page.render_counted(CarryOverPermissionOut.of)

"""Outages, and the measured availability of the service as evidence for them (reading 8)."""

from uuid import UUID

from fastapi import APIRouter

from backend.core.availability import load_overloaded_seconds, measure_availability
from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit
from backend.core.web.problems import problem_responses
from backend.identity.names import with_names
from backend.roll_call.access import access_roll_call
from backend.roll_call.facts_for_standing import tolerated_gap
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import UnitFilter
from backend.standing.outages import service as outage_service
from backend.standing.outages.queries import (
    OutageSearch,
    OutageSort,
    OutageState,
    load_outage,
    load_outages_page,
)
from backend.standing.outages.schemas import (
    AvailabilityOut,
    OutageAvailabilityOut,
    OutageDecisionIn,
    OutageEndIn,
    OutageIn,
    OutageOut,
)
from backend.standing.outages.service import (
    DecideOutage,
    DeclareOutage,
    declare_outage,
)

router = APIRouter(prefix="/v1", tags=["中断 · outages"])


@router.post("/outages", status_code=201, responses=problem_responses(401, 403, 404, 409, 422))
@with_names
async def report_outage(caller: StaffCaller, body: OutageIn) -> OutageOut:
    """申报系统或网络中断 · Declare an outage of the own unit or of a unit below it."""
    command = DeclareOutage(body.org_id, body.what, body.starts_at, body.ends_at)
    async with caller.transaction() as session:
        view = await declare_outage(session, caller.actor, command, caller.at)
    return OutageOut.of(view)


@router.get("/outages", responses=problem_responses(401, 404, 422))
@with_names
async def list_outages(
    caller: StaffCaller,
    state: OutageState | None = None,
    org_id: UUID | None = None,
    unit_id: UnitFilter = None,
    sort: OutageSort = "-declared_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[OutageOut]:
    """中断申报（新的在前） · Outages of the units below and of the units above; newest first."""
    search = OutageSearch(state, org_id, unit_id)
    async with caller.transaction() as session:
        page = await load_outages_page(session, caller.actor, search, PageRequest(limit, cursor, sort, total))
    return page.render_counted(OutageOut.of)


@router.get("/outages/{outage_id}", responses=problem_responses(401, 404, 422))
@with_names
async def get_outage(caller: StaffCaller, outage_id: UUID) -> OutageOut:
    """查看中断申报 · One outage."""
    async with caller.transaction() as session:
        view = await load_outage(session, caller.actor, outage_id)
    return OutageOut.of(view)


@router.get("/outages/{outage_id}/availability", responses=problem_responses(401, 404, 422))
async def get_outage_availability(caller: StaffCaller, outage_id: UUID) -> OutageAvailabilityOut:
    """中断期间服务可用性记录 · What the service recorded about itself in the time of an outage."""
    async with caller.transaction() as session:
        view = await load_outage(session, caller.actor, outage_id)
        starts_at = view.outage.starts_at
        until = max(starts_at, min(view.ends_at or view.outage.lapses_at, caller.at))
        measured = await measure_availability(session, (starts_at, until))
        overloaded = await load_overloaded_seconds(session, (starts_at, until))
    return OutageAvailabilityOut(
        starts_at=starts_at,
        until=until,
        minutes=measured.minutes,
        marked=measured.marked,
        longest_gap_seconds=int(measured.longest_gap.total_seconds()),
        overloaded_seconds=len(overloaded),
        rejected=sum(count for _, count in overloaded),
    )


@router.post(
    "/outages/{outage_id}/end", status_code=201, responses=problem_responses(401, 403, 404, 409, 422)
)
@with_names
async def end_outage(caller: StaffCaller, outage_id: UUID, body: OutageEndIn) -> OutageOut:
    """登记中断结束（由申报单位） · Record the end, as the declaring unit."""
    async with caller.transaction() as session:
        view = await outage_service.end_outage(session, caller.actor, outage_id, body.ends_at, caller.at)
    return OutageOut.of(view)


@router.post(
    "/outages/{outage_id}/decision", status_code=201, responses=problem_responses(401, 403, 404, 409, 422)
)
@with_names
async def decide_outage(caller: StaffCaller, outage_id: UUID, body: OutageDecisionIn) -> OutageOut:
    """审核中断申报（由申报单位的上级） · Approve or refuse an outage, once, as a superior of the declaring unit."""
    command = DecideOutage(outage_id, body.approved, body.opinion)
    async with caller.transaction() as session:
        view = await outage_service.decide_outage(session, caller.actor, command, caller.at)
    return OutageOut.of(view)


@router.get("/roll-calls/{roll_call_id}/availability", responses=problem_responses(401, 404, 422))
async def get_availability(caller: StaffCaller, roll_call_id: UUID) -> AvailabilityOut:
    """核验时段内服务可用性记录 · The measured availability of the service in the window."""
    async with caller.transaction() as session:
        roll_call = await access_roll_call(session, caller.actor, roll_call_id, caller.at)
        until = max(roll_call.opens_at, min(roll_call.deadline, caller.at))
        measured = await measure_availability(session, (roll_call.opens_at, until))
    tolerated = tolerated_gap(roll_call)
    return AvailabilityOut(
        opens_at=roll_call.opens_at,
        until=until,
        minutes=measured.minutes,
        marked=measured.marked,
        longest_gap_seconds=int(measured.longest_gap.total_seconds()),
        tolerated_gap_seconds=int(tolerated.total_seconds()),
        complete=measured.longest_gap <= tolerated,
    )

"""The student's own leave: request, cancel, return, and the leave days of the term (HN334-3.5a, 3.5b)."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.core.listing.pages import PageRequest
from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import problem_responses
from backend.core.web.schema_types import Day
from backend.identity.names import with_names
from backend.leave.queries import LeaveSearch, load_leave, load_leave_balance, load_leaves_page
from backend.leave.schemas import CancellationIn, LeaveDaysOut, LeaveIn, LeaveOut, leaves_out
from backend.leave.service import (
    HalfDay,
    RequestLeave,
    cancel_leave,
    record_return,
    request_leave,
)
from mobile_api.caller import PhoneCaller

router = APIRouter(prefix="/v1", tags=["请假 · leave"])


@router.get("/leave-requests", responses=problem_responses(401, 403, 422))
@with_names
async def list_leave_requests(
    caller: PhoneCaller, limit: Limit = 20, cursor: Cursor = None
) -> Page[LeaveOut]:
    """我的请假（新的在前） · My requests, newest first."""
    request = PageRequest(limit, cursor)
    async with caller.transaction() as session:
        page = await load_leaves_page(session, caller.actor, LeaveSearch(), caller.at, request)
        items = await leaves_out(session, caller.app_context.keys, page.rows, caller.at)
    return Page(items=items, next_cursor=page.next_cursor)


@router.post("/leave-requests", status_code=201, responses=problem_responses(401, 403, 409, 422))
@with_names
async def submit_leave_request(caller: PhoneCaller, body: LeaveIn) -> LeaveOut:
    """申请请假 · Request leave. It exempts from nothing until it is approved."""
    first, last = HalfDay(body.first_day, body.first_half), HalfDay(body.last_day, body.last_half)
    keys = caller.app_context.keys
    command = RequestLeave(body.kind, first, last, body.reason, tuple(body.attachment_ids))
    async with caller.transaction() as session:
        leave = await request_leave(session, caller.actor, keys, command, caller.at)
        (out,) = await leaves_out(session, keys, [leave], caller.at)
    return out


@router.get("/leave-requests/{leave_id}", responses=problem_responses(401, 403, 404, 422))
@with_names
async def get_leave_request(caller: PhoneCaller, leave_id: UUID) -> LeaveOut:
    """查看请假 · One request of mine."""
    async with caller.transaction() as session:
        leave = await load_leave(session, caller.actor, leave_id, caller.at)
        (out,) = await leaves_out(session, caller.app_context.keys, [leave], caller.at)
    return out


@router.post(
    "/leave-requests/{leave_id}/cancellation",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
@with_names
async def cancel_leave_request(caller: PhoneCaller, leave_id: UUID, body: CancellationIn) -> LeaveOut:
    """撤销请假（未审批或未开始） · Cancel a request that is undecided or has not started."""
    async with caller.transaction() as session:
        leave = await cancel_leave(session, caller.actor, leave_id, body.reason, caller.at)
        (out,) = await leaves_out(session, caller.app_context.keys, [leave], caller.at)
    return out


@router.post(
    "/leave-requests/{leave_id}/return", status_code=201, responses=problem_responses(401, 403, 404, 409, 422)
)
@with_names
async def confirm_leave_return(caller: PhoneCaller, leave_id: UUID) -> LeaveOut:
    """销假 · I am back: the leave ends now, by the server's clock."""
    async with caller.transaction() as session:
        leave = await record_return(session, caller.actor, leave_id, None, caller.at)
        (out,) = await leaves_out(session, caller.app_context.keys, [leave], caller.at)
    return out


@router.get("/me/leave-days", responses=problem_responses(401, 403, 404, 409, 422))
async def get_leave_days(
    caller: PhoneCaller,
    on: Annotated[
        Day | None, Query(description="学期内任一日，默认今天 · any day of the term; today")
    ] = None,
) -> LeaveDaysOut:
    """本学期请假天数与上限 · Leave days in the term, and the limit."""
    assert caller.actor.student_id is not None
    async with caller.transaction() as session:
        count = await load_leave_balance(session, caller.actor.student_id, caller.at, on)
    return LeaveDaysOut.of(count)

"""Leave for counselors and registrars, and late leave for the launching side (HN334-3.5a, reading 6)."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy import select

from backend.core.errors import NotPermitted
from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit, Page, encode_cursor
from backend.core.web.problems import problem_responses
from backend.core.web.schema_types import Day
from backend.identity.names import with_names
from backend.leave.queries import (
    ExemptionCriteria,
    LeaveSearch,
    LeaveSort,
    load_late_leave_page,
    load_leave,
    load_leave_balance,
    load_leaves_page,
    require_student_access,
)
from backend.leave.rules import LeaveState, NoticedWindow
from backend.leave.schemas import (
    LeaveCancellationIn,
    LeaveClaimOut,
    LeaveDaysOut,
    LeaveDecisionIn,
    LeaveOut,
    LeaveReturnIn,
    StandInIn,
    StandInOut,
    leaves_out,
)
from backend.leave.service import DecideLeave, cancel_leave, decide_leave, record_return
from backend.leave.stand_ins import NameStandIn, StandInSort, end_stand_in, load_stand_ins_page, name_stand_in
from backend.roll_call.access import access_roll_call, acts_for_launcher
from backend.roll_call.policy import roll_call_policy
from backend.roll_call.tables import Obligation
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import cursor_id
from backend.staff_api.student_search import StudentSearchText, student_condition

router = APIRouter(prefix="/v1", tags=["请假 · leave"])


@router.get("/leave-requests", responses=problem_responses(401, 403, 422))
@with_names
async def list_leave_requests(
    caller: StaffCaller,
    state: LeaveState | None = None,
    class_id: UUID | None = None,
    student_id: UUID | None = None,
    q: StudentSearchText = None,
    sort: LeaveSort = "-filed_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[LeaveOut]:
    """请假申请（新的在前） · Requests of the counselor's classes or the registrar's school, newest first."""
    _require_school_staff(caller)
    search = LeaveSearch(state, class_id, student_id, student_condition(caller, q))
    async with caller.transaction() as session:
        page = await load_leaves_page(
            session, caller.actor, search, caller.at, PageRequest(limit, cursor, sort, total)
        )
        items = await leaves_out(session, caller.app_context.keys, page.rows, caller.at)
    return page.with_rows(items).render_counted(lambda item: item)


def _require_school_staff(caller: StaffCaller) -> None:
    """Leave reasons are health data: superiors see only late leave that affects their roll calls."""
    if caller.actor.role not in {"registrar", "counselor"}:
        raise NotPermitted(reason_zh="请假由学校办理", reason_en="leave is handled by the school")


@router.get("/leave-requests/{leave_id}", responses=problem_responses(401, 403, 404, 422))
@with_names
async def get_leave_request(caller: StaffCaller, leave_id: UUID) -> LeaveOut:
    """查看请假 · One request."""
    _require_school_staff(caller)
    async with caller.transaction() as session:
        leave = await load_leave(session, caller.actor, leave_id, caller.at)
        (out,) = await leaves_out(session, caller.app_context.keys, [leave], caller.at)
    return out


@router.post(
    "/leave-requests/{leave_id}/decision",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
@with_names
async def decide_leave_request(caller: StaffCaller, leave_id: UUID, body: LeaveDecisionIn) -> LeaveOut:
    """审批请假（不批准须写明理由） · Approve or decline, once."""
    _require_school_staff(caller)
    command = DecideLeave(leave_id, body.outcome, body.opinion)
    async with caller.transaction() as session:
        leave = await decide_leave(session, caller.actor, command, caller.at)
        (out,) = await leaves_out(session, caller.app_context.keys, [leave], caller.at)
    return out


@router.post(
    "/leave-requests/{leave_id}/cancellation",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
@with_names
async def cancel_leave_request(caller: StaffCaller, leave_id: UUID, body: LeaveCancellationIn) -> LeaveOut:
    """撤销请假 · Cancel leave; once started, it ends now."""
    _require_school_staff(caller)
    async with caller.transaction() as session:
        leave = await cancel_leave(session, caller.actor, leave_id, body.reason, caller.at)
        (out,) = await leaves_out(session, caller.app_context.keys, [leave], caller.at)
    return out


@router.post(
    "/leave-requests/{leave_id}/return", status_code=201, responses=problem_responses(401, 403, 404, 409, 422)
)
@with_names
async def confirm_leave_return(caller: StaffCaller, leave_id: UUID, body: LeaveReturnIn) -> LeaveOut:
    """代为销假 · Record the student's return."""
    _require_school_staff(caller)
    async with caller.transaction() as session:
        leave = await record_return(session, caller.actor, leave_id, body.returned_at, caller.at)
        (out,) = await leaves_out(session, caller.app_context.keys, [leave], caller.at)
    return out


@router.get("/students/{student_id}/leave-days", responses=problem_responses(401, 403, 404, 409, 422))
async def get_leave_days(
    caller: StaffCaller,
    student_id: UUID,
    on: Annotated[
        Day | None, Query(description="学期内任一日，默认今天 · any day of the term; today")
    ] = None,
) -> LeaveDaysOut:
    """学生本学期请假天数与上限 · A student's leave days in the term, and the limit."""
    _require_school_staff(caller)
    async with caller.transaction() as session:
        await require_student_access(session, caller.actor, student_id, caller.at)
        count = await load_leave_balance(session, student_id, caller.at, on)
    return LeaveDaysOut.of(count)


@router.get("/leave-stand-ins", responses=problem_responses(401, 403, 422))
@with_names
async def list_leave_stand_ins(
    caller: StaffCaller,
    sort: StandInSort = "-named_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[StandInOut]:
    """代审安排（新的在前） · Stand-in arrangements, newest first; counselors see their own."""
    async with caller.transaction() as session:
        page = await load_stand_ins_page(session, caller.actor, PageRequest(limit, cursor, sort, total))
    return page.render_counted(StandInOut.of)


@router.post("/leave-stand-ins", status_code=201, responses=problem_responses(401, 403, 404, 422))
@with_names
async def appoint_leave_stand_in(caller: StaffCaller, body: StandInIn) -> StandInOut:
    """指定代审人 · Name a colleague who decides on leave in my place for a period."""
    command = NameStandIn(body.stand_in_id, body.starts_at, body.ends_at)
    async with caller.transaction() as session:
        stand_in = await name_stand_in(session, caller.actor, command, caller.at)
    return StandInOut.of(stand_in)


@router.post(
    "/leave-stand-ins/{stand_in_id}/end",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
@with_names
async def end_leave_stand_in(caller: StaffCaller, stand_in_id: UUID) -> StandInOut:
    """提前结束代审 · End a stand-in now; decisions already made stay valid."""
    async with caller.transaction() as session:
        stand_in = await end_stand_in(session, caller.actor, stand_in_id, caller.at)
    return StandInOut.of(stand_in)


@router.get("/roll-calls/{roll_call_id}/leave-claims", responses=problem_responses(401, 403, 404, 422))
@with_names
async def list_leave_claims(
    caller: StaffCaller, roll_call_id: UUID, limit: Limit = 50, cursor: Cursor = None
) -> Page[LeaveClaimOut]:
    """未能免核验的请假（供发起单位判断） · Leave filed or approved after the notice, for the launching side to decide.

    A page examines `limit` students with leave over the window and lists those it would have exempted.
    """
    async with caller.transaction() as session:
        roll_call = await access_roll_call(session, caller.actor, roll_call_id, caller.at)
        if not acts_for_launcher(roll_call, caller.actor):
            raise NotPermitted(reason_zh="由发起单位查阅", reason_en="only the launching side sees these")
        obliged = select(Obligation.student_id).where(
            Obligation.term_code == roll_call.term_code,
            Obligation.roll_call_id == roll_call.id,
            Obligation.duty == "owed",
        )
        window = NoticedWindow(roll_call.notify_at, roll_call.opens_at, roll_call.deadline)
        reach = ExemptionCriteria(
            window, roll_call_policy(roll_call).duration("roll_call.window.minimum"), caller.at
        )
        page = await load_late_leave_page(session, obliged, reach, cursor_id(cursor), limit)
    next_cursor = encode_cursor(str(page.further)) if page.further else None
    items = [LeaveClaimOut.model_validate(each) for each in page.items]
    return Page(items=items, next_cursor=next_cursor)

"""Appeals for registrars and the authorities above them (HN334-4.2)."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.appeal.check_schemas import AppealCheckOut
from backend.appeal.decisions import DecideAppeal, decide_appeal
from backend.appeal.filing import FileAppeal, appeal_to_next_level, file_appeal, withdraw_appeal
from backend.appeal.gaokao import load_eligibility
from backend.appeal.positions import load_appeal_checks, view_appeal_positions
from backend.appeal.queries import (
    AppealSearch,
    AppealSort,
    load_appeal,
    load_appeals_page,
    load_dates,
    load_message_views,
    load_messages_page,
)
from backend.appeal.rules import AppealState
from backend.appeal.schemas import (
    AppealDecisionIn,
    AppealDetailOut,
    AppealMessageIn,
    AppealMessageOut,
    AppealOut,
    AppealWithdrawalIn,
    GaokaoEligibilityOut,
    SchoolAppealIn,
)
from backend.appeal.statements import mark_messages_read, post_message
from backend.appeal.subjects import load_subject
from backend.core.clock import legal_day
from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import problem_responses
from backend.core.web.schema_types import Day
from backend.identity.names import with_names
from backend.leave.queries import require_student_access
from backend.org.tables import OrgUnit
from backend.roll_call.positions.schemas import ShownPositionsOut
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import UnitFilter, build_page, cursor_id
from backend.staff_api.student_search import StudentSearchText, student_condition

router = APIRouter(prefix="/v1", tags=["申诉 · appeals"])


@router.get("/appeals", responses=problem_responses(401, 403, 404, 422))
@with_names
async def list_appeals(
    caller: StaffCaller,
    *,
    to_decide: Annotated[
        bool, Query(description="由本单位决定且未决定的 · open appeals that the own unit decides")
    ] = False,
    filed_by_school: Annotated[bool, Query(description="由学校提出的 · filed by the school")] = False,
    state: AppealState | None = None,
    overdue: Annotated[bool, Query(description="逾期未决定的 · open appeals past their deadline")] = False,
    student_id: UUID | None = None,
    unit_id: UnitFilter = None,
    q: StudentSearchText = None,
    sort: AppealSort = "-filed_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    total: WithTotal = False,
) -> CountedPage[AppealOut]:
    """申诉列表（新的在前） · Appeals of the own school or of the schools below; newest first."""
    search = AppealSearch(
        to_decide,
        filed_by_school,
        state,
        overdue,
        student_id,
        unit_id,
        student_condition(caller, q),
    )
    async with caller.transaction() as session:
        page = await load_appeals_page(
            session, caller.actor, search, caller.at, PageRequest(limit, cursor, sort, total)
        )
    at = caller.at
    return page.render_counted(lambda row: AppealOut.of(row, at))


@router.post("/appeals", status_code=201, responses=problem_responses(401, 403, 404, 409, 422))
@with_names
async def file_school_appeal(caller: StaffCaller, body: SchoolAppealIn) -> AppealOut:
    """学校提出申诉 · File an appeal of the school about one of its students."""
    command = FileAppeal(body.against.to_subject(), body.grounds.to_message(), body.student_id)
    async with caller.transaction() as session:
        appeal = await file_appeal(session, caller.actor, command, caller.at)
    return AppealOut.of(appeal, caller.at)


@router.get("/appeals/{appeal_id}", responses=problem_responses(401, 403, 404, 422))
@with_names
async def get_appeal(caller: StaffCaller, appeal_id: UUID) -> AppealDetailOut:
    """查看申诉及被申诉事项 · One appeal with its subject and the trace of the subject."""
    async with caller.transaction() as session:
        appeal = await load_appeal(session, caller.actor, appeal_id)
        school = await session.get_one(OrgUnit, appeal.filed.school_id)
        dates = await load_dates(session, appeal, school.path)
        subject = await load_subject(session, appeal, caller.at)
    traces = caller.actor.role != "registrar"  # a trace shows verification thresholds
    return AppealDetailOut.of_detail(appeal, dates, subject, caller.at, traces=traces)


@router.get("/appeals/{appeal_id}/checks", responses=problem_responses(401, 403, 404, 422))
async def list_appeal_checks(caller: StaffCaller, appeal_id: UUID) -> list[AppealCheckOut]:
    """申诉事项所依据的点名（旧的在前） · Roll calls that the matter under appeal rests on, oldest first."""
    async with caller.transaction() as session:
        roll_calls = await load_appeal_checks(session, caller.actor, appeal_id)
    return [AppealCheckOut.of(each) for each in roll_calls]


@router.get(
    "/appeals/{appeal_id}/positions/{roll_call_id}",
    responses=problem_responses(401, 403, 404, 409, 410, 422),
)
async def get_appeal_positions(caller: StaffCaller, appeal_id: UUID, roll_call_id: UUID) -> ShownPositionsOut:
    """查看申诉事项所依据的一次点名的定位点（留痕；须学生同意） · Positions of a roll call under appeal; the look is recorded."""
    async with caller.transaction() as session:
        shown = await view_appeal_positions(session, caller.actor, appeal_id, roll_call_id, caller.at)
    return ShownPositionsOut.of(shown)


@router.get("/appeals/{appeal_id}/messages", responses=problem_responses(401, 403, 404, 422))
async def list_appeal_messages(
    caller: StaffCaller, appeal_id: UUID, limit: Limit = 50, cursor: Cursor = None
) -> Page[AppealMessageOut]:
    """申诉中的消息（旧的在前；第一条为申诉理由） · Messages, oldest first; the first one holds the grounds."""
    async with caller.transaction() as session:
        await load_appeal(session, caller.actor, appeal_id)
        rows = await load_messages_page(session, appeal_id, cursor_id(cursor), limit + 1)
    return build_page(rows, limit, AppealMessageOut.of, lambda row: row.message.id)


@router.post(
    "/appeals/{appeal_id}/messages",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422, 429),
)
async def send_appeal_message(
    caller: StaffCaller, appeal_id: UUID, body: AppealMessageIn
) -> AppealMessageOut:
    """发送消息（申诉方与受理单位之间） · Post a message to the other side."""
    async with caller.transaction() as session:
        message = await post_message(session, caller.actor, appeal_id, body.to_message(), caller.at)
        [row] = await load_message_views(session, [message])
    return AppealMessageOut.of(row)


@router.post("/appeals/{appeal_id}/read", status_code=204, responses=problem_responses(401, 403, 404, 422))
async def mark_appeal_read(caller: StaffCaller, appeal_id: UUID) -> None:
    """标记对方消息已读 · Mark the messages of the other side as read."""
    async with caller.transaction() as session:
        await mark_messages_read(session, caller.actor, appeal_id, caller.at)


@router.post(
    "/appeals/{appeal_id}/decision", status_code=201, responses=problem_responses(401, 403, 404, 409, 422)
)
@with_names
async def decide_student_appeal(caller: StaffCaller, appeal_id: UUID, body: AppealDecisionIn) -> AppealOut:
    """决定申诉（须写明理由） · Decide an appeal with reasons, once; restoration and recounting take effect immediately."""
    command = DecideAppeal(appeal_id, body.upheld, body.reasons, body.finding)
    async with caller.transaction() as session:
        appeal = await decide_appeal(session, caller.actor, command, caller.at)
    return AppealOut.of(appeal, caller.at)


@router.post(
    "/appeals/{appeal_id}/withdrawal", status_code=201, responses=problem_responses(401, 403, 404, 409, 422)
)
@with_names
async def withdraw_school_appeal(caller: StaffCaller, appeal_id: UUID, body: AppealWithdrawalIn) -> AppealOut:
    """撤回学校的申诉（同一事项不能再提出） · Withdraw the school's appeal; the same matter cannot be appealed again."""
    async with caller.transaction() as session:
        appeal = await withdraw_appeal(session, caller.actor, appeal_id, body.reason, caller.at)
    return AppealOut.of(appeal, caller.at)


@router.post(
    "/appeals/{appeal_id}/next-level", status_code=201, responses=problem_responses(401, 403, 404, 409, 422)
)
@with_names
async def file_next_appeal(caller: StaffCaller, appeal_id: UUID, body: AppealMessageIn) -> AppealOut:
    """被驳回后向上一级申诉（一次） · Take a rejected appeal of the school to the next level, once."""
    async with caller.transaction() as session:
        appeal = await appeal_to_next_level(session, caller.actor, appeal_id, body.to_message(), caller.at)
    return AppealOut.of(appeal, caller.at)


@router.get("/students/{student_id}/gaokao-eligibility", responses=problem_responses(401, 403, 404, 409, 422))
async def get_gaokao_eligibility(
    caller: StaffCaller,
    student_id: UUID,
    on: Annotated[Day | None, Query(description="日期，默认今天 · a legal day, today by default")] = None,
) -> GaokaoEligibilityOut:
    """某日的高考报名资格及理由 · Eligibility for the gaokao on a day, reproduced from the ledger, with reasons."""
    async with caller.transaction() as session:
        if caller.actor.role == "counselor":
            await require_student_access(session, caller.actor, student_id, caller.at)
        eligibility = await load_eligibility(session, student_id, on or legal_day(caller.at), caller.at)
    return GaokaoEligibilityOut.of(eligibility)

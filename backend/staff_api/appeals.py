"""Appeals for registrars and the authorities above them (HN334-4.2)."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from backend.appeal.decisions import DecideAppeal, decide_appeal
from backend.appeal.filing import FileAppeal, carry_up, file_appeal, withdraw
from backend.appeal.gaokao import eligibility
from backend.appeal.queries import (
    AppealSearch,
    appeal_for,
    appeals_page,
    due_of,
    message_views,
    messages_page,
)
from backend.appeal.rules import CaseState
from backend.appeal.schemas import (
    AppealDetailOut,
    AppealIn,
    AppealMessageOut,
    AppealOut,
    Day,
    GaokaoEligibilityOut,
    SaidIn,
    WithdrawalIn,
)
from backend.appeal.statements import mark_read, post_message
from backend.appeal.subjects import matter_of
from backend.core.clock import legal_day
from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import documented
from backend.core.web.schema_types import Paragraph, Schema
from backend.leave.queries import student_in_care
from backend.org.tables import OrgUnit
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import page_of, position_id
from backend.standing.appeal_effects import Finding

router = APIRouter(prefix="/v1", tags=["申诉 · appeals"])


class SchoolAppealIn(AppealIn):
    """An appeal of the school, about one of its students."""

    student_id: UUID


class AppealDecisionIn(Schema):
    """The decision with its reasons; an upheld appeal against a result says what it is to be."""

    upheld: bool
    reasons: Paragraph = Field(examples=["考勤记录与照片相符，认定到场。"])
    finding: Finding | None = Field(
        default=None,
        description="仅用于对核验结果的申诉成立时 · only when an appeal against a result is upheld",
        examples=["present"],
    )


@router.get("/appeals", responses=documented(401, 403, 422))
async def list_appeals(
    caller: StaffCaller,
    *,
    to_decide: Annotated[
        bool, Query(description="由本单位决定且未决定的 · open ones that my unit decides")
    ] = False,
    filed_by_school: Annotated[bool, Query(description="由学校提出的 · filed by the school")] = False,
    state: CaseState | None = None,
    overdue: Annotated[bool, Query(description="逾期未决定的 · open past their term")] = False,
    student_id: UUID | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[AppealOut]:
    """申诉列表（新的在前） · Appeals of the school, or of all schools below; newest first."""
    search = AppealSearch(to_decide, filed_by_school, state, overdue, student_id)
    async with caller.transaction() as session:
        rows = await appeals_page(session, caller.actor, search, caller.at, position_id(cursor), limit + 1)
    at = caller.at
    return page_of(rows, limit, lambda row: AppealOut.of(row, at), lambda row: row.filed.id)


@router.post("/appeals", status_code=201, responses=documented(401, 403, 404, 409, 422))
async def post_appeal(caller: StaffCaller, body: SchoolAppealIn) -> AppealOut:
    """学校提出申诉 · The school appeals for one of its students."""
    command = FileAppeal(body.against.matter(), body.grounds.said(), body.student_id)
    async with caller.transaction() as session:
        appeal = await file_appeal(session, caller.actor, command, caller.at)
    return AppealOut.of(appeal, caller.at)


@router.get("/appeals/{appeal_id}", responses=documented(401, 403, 404, 422))
async def get_appeal(caller: StaffCaller, appeal_id: UUID) -> AppealDetailOut:
    """查看申诉及被申诉事项 · One appeal, with what it is against and the trace of that."""
    async with caller.transaction() as session:
        appeal = await appeal_for(session, caller.actor, appeal_id)
        school = await session.get_one(OrgUnit, appeal.filed.school_id)
        due = await due_of(session, appeal, school.path)
        matter = await matter_of(session, appeal, caller.at)
    traces = caller.actor.role != "registrar"  # thresholds of verification are not told to who is checked
    return AppealDetailOut.whole(appeal, due, matter, caller.at, traces=traces)


@router.get("/appeals/{appeal_id}/messages", responses=documented(401, 403, 404, 422))
async def list_messages(
    caller: StaffCaller, appeal_id: UUID, limit: Limit = 50, cursor: Cursor = None
) -> Page[AppealMessageOut]:
    """申诉中的消息（旧的在前；第一条为申诉理由） · What was said, oldest first; the first are the grounds."""
    async with caller.transaction() as session:
        await appeal_for(session, caller.actor, appeal_id)
        rows = await messages_page(session, appeal_id, position_id(cursor), limit + 1)
    return page_of(rows, limit, AppealMessageOut.of, lambda row: row.message.id)


@router.post(
    "/appeals/{appeal_id}/messages", status_code=201, responses=documented(401, 403, 404, 409, 422, 429)
)
async def post_appeal_message(caller: StaffCaller, appeal_id: UUID, body: SaidIn) -> AppealMessageOut:
    """发送消息（申诉方与受理单位之间） · Say something to the other side."""
    async with caller.transaction() as session:
        message = await post_message(session, caller.actor, appeal_id, body.said(), caller.at)
        [row] = await message_views(session, [message])
    return AppealMessageOut.of(row)


@router.post("/appeals/{appeal_id}/read", status_code=204, responses=documented(401, 403, 404, 422))
async def post_read(caller: StaffCaller, appeal_id: UUID) -> None:
    """标记对方消息已读 · I have read what the other side has said so far."""
    async with caller.transaction() as session:
        await mark_read(session, caller.actor, appeal_id, caller.at)


@router.post("/appeals/{appeal_id}/decision", status_code=201, responses=documented(401, 403, 404, 409, 422))
async def post_decision(caller: StaffCaller, appeal_id: UUID, body: AppealDecisionIn) -> AppealOut:
    """决定申诉（须写明理由） · Decide with reasons, once; restoration and recounting follow at once."""
    command = DecideAppeal(appeal_id, body.upheld, body.reasons, body.finding)
    async with caller.transaction() as session:
        appeal = await decide_appeal(session, caller.actor, command, caller.at)
    return AppealOut.of(appeal, caller.at)


@router.post(
    "/appeals/{appeal_id}/withdrawal", status_code=201, responses=documented(401, 403, 404, 409, 422)
)
async def post_withdrawal(caller: StaffCaller, appeal_id: UUID, body: WithdrawalIn) -> AppealOut:
    """撤回学校的申诉（同一事项不能再提出） · Take the school's appeal back; the matter is not opened again."""
    async with caller.transaction() as session:
        appeal = await withdraw(session, caller.actor, appeal_id, body.reason, caller.at)
    return AppealOut.of(appeal, caller.at)


@router.post(
    "/appeals/{appeal_id}/next-level", status_code=201, responses=documented(401, 403, 404, 409, 422)
)
async def post_next_level(caller: StaffCaller, appeal_id: UUID, body: SaidIn) -> AppealOut:
    """被驳回后向上一级申诉（一次） · Carry a rejected appeal of the school one level up, once."""
    async with caller.transaction() as session:
        appeal = await carry_up(session, caller.actor, appeal_id, body.said(), caller.at)
    return AppealOut.of(appeal, caller.at)


@router.get("/students/{student_id}/gaokao-eligibility", responses=documented(401, 403, 404, 409, 422))
async def get_gaokao_eligibility(
    caller: StaffCaller,
    student_id: UUID,
    on: Annotated[Day | None, Query(description="日期，默认今天 · a legal day; today")] = None,
) -> GaokaoEligibilityOut:
    """某日的高考报考资格及理由 · Eligibility for the gaokao as of a day, reproduced from the ledger."""
    async with caller.transaction() as session:
        if caller.actor.role == "counselor":
            await student_in_care(session, caller.actor, student_id, caller.at)
        found = await eligibility(session, student_id, on or legal_day(caller.at), caller.at)
    return GaokaoEligibilityOut.of(found)

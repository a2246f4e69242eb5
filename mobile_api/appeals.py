"""The student's own appeals: file, read, message, withdraw, take to the next level (HN334-4.2)."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.appeal.filing import FileAppeal, appeal_to_next_level, file_appeal, withdraw_appeal
from backend.appeal.gaokao import load_eligibility
from backend.appeal.queries import (
    AppealSearch,
    load_appeal,
    load_appeals_page,
    load_dates,
    load_message_views,
    load_messages_page,
)
from backend.appeal.schemas import (
    AppealDetailOut,
    AppealIn,
    AppealMessageIn,
    AppealMessageOut,
    AppealOut,
    AppealWithdrawalIn,
    GaokaoEligibilityOut,
)
from backend.appeal.statements import mark_messages_read, post_message
from backend.appeal.subjects import load_subject
from backend.core.clock import legal_day
from backend.core.listing.pages import PageRequest
from backend.core.pagination import Cursor, Limit, Page, decode_cursor, encode_cursor, parse_id
from backend.core.web.problems import problem_responses
from backend.core.web.schema_types import Day
from backend.identity.devices.cool_down import record_cool_down_act
from backend.identity.names import with_names
from backend.standing.appeal_effects import Target
from mobile_api.caller import PhoneCaller

TargetId = Annotated[
    str | None,
    Query(
        max_length=36,
        pattern=r"^[0-9a-f-]+$",
        description="只列针对这一事项的申诉：核验或异动的 ID，或报考年度 · only those about this roll call, change or exam year",
        examples=["2027"],
    ),
]

router = APIRouter(prefix="/v1/me", tags=["申诉 · appeals"])


@router.get("/appeals", responses=problem_responses(401, 403, 422))
@with_names
async def list_appeals(
    caller: PhoneCaller,
    target: Annotated[Target | None, Query(description="只列这类事项 · only this kind of target")] = None,
    target_id: TargetId = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[AppealOut]:
    """与我有关的申诉（新的在前） · Appeals about me, filed by me or by the school; newest first."""
    search = AppealSearch(target=target, target_id=target_id)
    at = caller.at
    async with caller.transaction() as session:
        page = await load_appeals_page(session, caller.actor, search, at, PageRequest(limit, cursor))
    return page.render(lambda row: AppealOut.of(row, at))


@router.post("/appeals", status_code=201, responses=problem_responses(401, 403, 404, 409, 422))
@with_names
async def submit_appeal(caller: PhoneCaller, body: AppealIn) -> AppealOut:
    """提出申诉（核验结果、学籍异动或报名资格） · File an appeal; until it is decided nothing is executed automatically."""
    command = FileAppeal(body.against.to_subject(), body.grounds.to_message())
    async with caller.transaction() as session:
        appeal = await file_appeal(session, caller.actor, command, caller.at)
        await record_cool_down_act(session, caller.actor, "appeal", appeal.filed.id, caller.at)
    return AppealOut.of(appeal, caller.at)


@router.get("/appeals/{appeal_id}", responses=problem_responses(401, 403, 404, 422))
@with_names
async def get_appeal(caller: PhoneCaller, appeal_id: UUID) -> AppealDetailOut:
    """查看申诉及被申诉事项 · One appeal with its subject."""
    async with caller.transaction() as session:
        appeal = await load_appeal(session, caller.actor, appeal_id)
        dates = await load_dates(session, appeal, caller.actor.org_path)
        subject = await load_subject(session, appeal, caller.at)
    return AppealDetailOut.of_detail(appeal, dates, subject, caller.at, traces=False)


@router.get("/appeals/{appeal_id}/messages", responses=problem_responses(401, 403, 404, 422))
async def list_appeal_messages(
    caller: PhoneCaller, appeal_id: UUID, limit: Limit = 20, cursor: Cursor = None
) -> Page[AppealMessageOut]:
    """申诉中的消息（旧的在前；第一条为申诉理由） · Messages, oldest first; the first one holds the grounds."""
    after = None if cursor is None else parse_id(decode_cursor(cursor, 1)[0])
    async with caller.transaction() as session:
        await load_appeal(session, caller.actor, appeal_id)
        rows = await load_messages_page(session, appeal_id, after, limit + 1)
    shown = rows[:limit]
    following = encode_cursor(str(shown[-1].message.id)) if len(rows) > limit else None
    return Page(items=[AppealMessageOut.of(row) for row in shown], next_cursor=following)


@router.post(
    "/appeals/{appeal_id}/messages",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422, 429),
)
async def send_appeal_message(
    caller: PhoneCaller, appeal_id: UUID, body: AppealMessageIn
) -> AppealMessageOut:
    """向受理单位补充说明 · Post a message to the deciding unit."""
    async with caller.transaction() as session:
        message = await post_message(session, caller.actor, appeal_id, body.to_message(), caller.at)
        await record_cool_down_act(session, caller.actor, "appeal_message", appeal_id, caller.at)
        [row] = await load_message_views(session, [message])
    return AppealMessageOut.of(row)


@router.post("/appeals/{appeal_id}/read", status_code=204, responses=problem_responses(401, 403, 404, 422))
async def mark_appeal_read(caller: PhoneCaller, appeal_id: UUID) -> None:
    """标记受理单位的消息已读 · Mark the messages of the deciding unit as read."""
    async with caller.transaction() as session:
        await mark_messages_read(session, caller.actor, appeal_id, caller.at)


@router.post(
    "/appeals/{appeal_id}/withdrawal", status_code=201, responses=problem_responses(401, 403, 404, 409, 422)
)
@with_names
async def withdraw_own_appeal(caller: PhoneCaller, appeal_id: UUID, body: AppealWithdrawalIn) -> AppealOut:
    """撤回申诉（同一事项不能再提出） · Withdraw my appeal; the same matter cannot be appealed again."""
    async with caller.transaction() as session:
        appeal = await withdraw_appeal(session, caller.actor, appeal_id, body.reason, caller.at)
    return AppealOut.of(appeal, caller.at)


@router.post(
    "/appeals/{appeal_id}/next-level", status_code=201, responses=problem_responses(401, 403, 404, 409, 422)
)
@with_names
async def file_next_appeal(caller: PhoneCaller, appeal_id: UUID, body: AppealMessageIn) -> AppealOut:
    """被驳回后向上一级申诉（一次） · Take my rejected appeal to the next level, once."""
    async with caller.transaction() as session:
        appeal = await appeal_to_next_level(session, caller.actor, appeal_id, body.to_message(), caller.at)
        await record_cool_down_act(session, caller.actor, "appeal", appeal_id, caller.at)
    return AppealOut.of(appeal, caller.at)


@router.get("/gaokao-eligibility", responses=problem_responses(401, 403, 409, 422))
async def get_gaokao_eligibility(
    caller: PhoneCaller,
    on: Annotated[Day | None, Query(description="日期，默认今天 · a legal day, today by default")] = None,
) -> GaokaoEligibilityOut:
    """我在某日的高考报名资格及理由 · My eligibility for the gaokao on a day, and why."""
    assert caller.actor.student_id is not None
    async with caller.transaction() as session:
        eligibility = await load_eligibility(
            session, caller.actor.student_id, on or legal_day(caller.at), caller.at
        )
    return GaokaoEligibilityOut.of(eligibility)

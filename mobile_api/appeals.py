"""The student's own appeals: file, follow, answer, take back, carry up (HN334-4.2)."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

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
from backend.core.pagination import Cursor, Limit, Page, decode_cursor, encode_cursor, parse_id
from backend.core.web.problems import documented
from mobile_api.caller import PhoneCaller

router = APIRouter(prefix="/v1/me", tags=["申诉 · appeals"])


@router.get("/appeals", responses=documented(401, 403, 422))
async def list_appeals(caller: PhoneCaller, limit: Limit = 20, cursor: Cursor = None) -> Page[AppealOut]:
    """与我有关的申诉（新的在前） · Appeals about me, by me or by the school; newest first."""
    before = None if cursor is None else parse_id(decode_cursor(cursor, 1)[0])
    async with caller.transaction() as session:
        rows = await appeals_page(session, caller.actor, AppealSearch(), caller.at, before, limit + 1)
    shown, at = rows[:limit], caller.at
    following = encode_cursor(str(shown[-1].filed.id)) if len(rows) > limit else None
    return Page(items=[AppealOut.of(row, at) for row in shown], next_cursor=following)


@router.post("/appeals", status_code=201, responses=documented(401, 403, 404, 409, 422))
async def post_appeal(caller: PhoneCaller, body: AppealIn) -> AppealOut:
    """提出申诉（核验结果、学籍异动或报考资格） · Appeal; until it is decided nothing is executed automatically."""
    command = FileAppeal(body.against.matter(), body.grounds.said())
    async with caller.transaction() as session:
        appeal = await file_appeal(session, caller.actor, command, caller.at)
    return AppealOut.of(appeal, caller.at)


@router.get("/appeals/{appeal_id}", responses=documented(401, 403, 404, 422))
async def get_appeal(caller: PhoneCaller, appeal_id: UUID) -> AppealDetailOut:
    """查看申诉及被申诉事项 · One appeal, with what it is against."""
    async with caller.transaction() as session:
        appeal = await appeal_for(session, caller.actor, appeal_id)
        due = await due_of(session, appeal, caller.actor.org_path)
        matter = await matter_of(session, appeal, caller.at)
    return AppealDetailOut.whole(appeal, due, matter, caller.at, traces=False)


@router.get("/appeals/{appeal_id}/messages", responses=documented(401, 403, 404, 422))
async def list_messages(
    caller: PhoneCaller, appeal_id: UUID, limit: Limit = 20, cursor: Cursor = None
) -> Page[AppealMessageOut]:
    """申诉中的消息（旧的在前；第一条为申诉理由） · What was said, oldest first; the first are the grounds."""
    after = None if cursor is None else parse_id(decode_cursor(cursor, 1)[0])
    async with caller.transaction() as session:
        await appeal_for(session, caller.actor, appeal_id)
        rows = await messages_page(session, appeal_id, after, limit + 1)
    shown = rows[:limit]
    following = encode_cursor(str(shown[-1].message.id)) if len(rows) > limit else None
    return Page(items=[AppealMessageOut.of(row) for row in shown], next_cursor=following)


@router.post(
    "/appeals/{appeal_id}/messages", status_code=201, responses=documented(401, 403, 404, 409, 422, 429)
)
async def post_appeal_message(caller: PhoneCaller, appeal_id: UUID, body: SaidIn) -> AppealMessageOut:
    """向受理单位补充说明 · Say something to the deciding unit."""
    async with caller.transaction() as session:
        message = await post_message(session, caller.actor, appeal_id, body.said(), caller.at)
        [row] = await message_views(session, [message])
    return AppealMessageOut.of(row)


@router.post("/appeals/{appeal_id}/read", status_code=204, responses=documented(401, 403, 404, 422))
async def post_read(caller: PhoneCaller, appeal_id: UUID) -> None:
    """标记受理单位的消息已读 · I have read what the deciding unit has said so far."""
    async with caller.transaction() as session:
        await mark_read(session, caller.actor, appeal_id, caller.at)


@router.post(
    "/appeals/{appeal_id}/withdrawal", status_code=201, responses=documented(401, 403, 404, 409, 422)
)
async def post_withdrawal(caller: PhoneCaller, appeal_id: UUID, body: WithdrawalIn) -> AppealOut:
    """撤回申诉（同一事项不能再提出） · Take my appeal back; the matter is not opened again."""
    async with caller.transaction() as session:
        appeal = await withdraw(session, caller.actor, appeal_id, body.reason, caller.at)
    return AppealOut.of(appeal, caller.at)


@router.post(
    "/appeals/{appeal_id}/next-level", status_code=201, responses=documented(401, 403, 404, 409, 422)
)
async def post_next_level(caller: PhoneCaller, appeal_id: UUID, body: SaidIn) -> AppealOut:
    """被驳回后向上一级申诉（一次） · Carry my rejected appeal one level up, once."""
    async with caller.transaction() as session:
        appeal = await carry_up(session, caller.actor, appeal_id, body.said(), caller.at)
    return AppealOut.of(appeal, caller.at)


@router.get("/gaokao-eligibility", responses=documented(401, 403, 409, 422))
async def get_gaokao_eligibility(
    caller: PhoneCaller,
    on: Annotated[Day | None, Query(description="日期，默认今天 · a legal day; today")] = None,
) -> GaokaoEligibilityOut:
    """我在某日的高考报考资格及理由 · My eligibility for the gaokao as of a day, and why."""
    assert caller.actor.student_id is not None
    async with caller.transaction() as session:
        found = await eligibility(session, caller.actor.student_id, on or legal_day(caller.at), caller.at)
    return GaokaoEligibilityOut.of(found)

"""The student's own notices."""

from uuid import UUID

from fastapi import APIRouter

from backend.core.listing.pages import PageRequest
from backend.core.pagination import Cursor, Limit
from backend.core.web.problems import problem_responses
from backend.notice.inbox import fetch_notices, open_notice
from backend.notice.schemas import Inbox, Opened, inbox_out
from mobile_api.caller import PhoneCaller

router = APIRouter(prefix="/v1/notices", tags=["notices"])


@router.get("", responses=problem_responses(401, 403, 422))
async def list_notices(caller: PhoneCaller, limit: Limit = 20, cursor: Cursor = None) -> Inbox:
    """我的通知（新的在前） · My notices, newest first. What is returned counts as delivered now."""
    async with caller.transaction() as session:
        page = await fetch_notices(session, caller.actor, caller.at, PageRequest(limit, cursor))
    return inbox_out(page)


@router.post("/{notice_id}/read", responses=problem_responses(401, 403, 404, 422))
async def mark_notice_read(caller: PhoneCaller, notice_id: UUID) -> Opened:
    """标记通知已读 · Record that I opened a notice; repeating it changes nothing."""
    async with caller.transaction() as session:
        opened_at = await open_notice(session, caller.actor, notice_id, caller.at)
    return Opened(id=notice_id, opened_at=opened_at)

"""Staff members' own notices, delivery statistics, and the callback of the SMS provider."""

import hmac
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import Field

from backend.core.errors import NotFound
from backend.core.listing.pages import PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit
from backend.core.tenancy import Scope
from backend.core.web.problems import problem_responses
from backend.core.web.requests import AppContextDep
from backend.notice.delivery_reports import record_sms_reports, report_token
from backend.notice.inbox import NoticeSort, fetch_notices, open_notice
from backend.notice.queries import load_group_statistics
from backend.notice.schemas import CallbackAnswer, CountedInbox, NoticeGroup, Opened, counted_inbox_out
from backend.notice.sms.aliyun import AliyunSmsReport
from backend.staff_api.caller import StaffCaller

router = APIRouter(prefix="/v1", tags=["notices"])


@router.get("/notices", responses=problem_responses(401, 403, 422))
async def list_notices(
    caller: StaffCaller,
    sort: NoticeSort = "-at",
    limit: Limit = 20,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedInbox:
    """我的通知（新的在前） · My notices, newest first. What is returned counts as delivered now."""
    request = PageRequest(limit, cursor, sort, total)
    async with caller.transaction() as session:
        page = await fetch_notices(session, caller.actor, caller.at, request)
    return counted_inbox_out(page)


@router.post("/notices/{notice_id}/read", responses=problem_responses(401, 403, 404, 422))
async def mark_notice_read(caller: StaffCaller, notice_id: UUID) -> Opened:
    """标记通知已读 · Record that I opened a notice; repeating it changes nothing."""
    async with caller.transaction() as session:
        opened_at = await open_notice(session, caller.actor, notice_id, caller.at)
    return Opened(id=notice_id, opened_at=opened_at)


@router.get("/notice-groups/{group_id}", responses=problem_responses(401, 403, 404, 422))
async def get_notice_group(caller: StaffCaller, group_id: UUID) -> NoticeGroup:
    """一次通知的送达统计 · Delivery statistics of the notices of one cause."""
    async with caller.transaction() as session:
        statistics = await load_group_statistics(session, caller.actor, group_id)
    return NoticeGroup(
        group_id=statistics.group_id,
        recipients=statistics.recipients,
        notices=statistics.notices,
        opened=statistics.opened,
        channels=statistics.channels,
    )


@router.post("/callbacks/sms-reports/{token}", responses=problem_responses(404, 422))
async def receive_sms_reports(
    app_context: AppContextDep,
    token: Annotated[str, Path(max_length=200, description="回执地址中的密钥 · the secret in the address")],
    reports: Annotated[list[AliyunSmsReport], Field(max_length=1000)],
) -> CallbackAnswer:
    """短信状态报告（SmsReport）推送 · Aliyun pushes its delivery reports here."""
    if not hmac.compare_digest(token.encode(), report_token(app_context.settings.gateway_secret).encode()):
        raise NotFound
    async with app_context.database.transaction(Scope.none()) as session:
        received = [report.to_report() for report in reports]
        await record_sms_reports(session, received, app_context.clock())
    return CallbackAnswer()

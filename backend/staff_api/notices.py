"""Staff members' own notices, delivery statistics, and the carrier's callback."""

import hmac
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from backend.core.errors import NotFound
from backend.core.pagination import Cursor, Limit
from backend.core.tenancy import Scope
from backend.core.web.problems import documented
from backend.core.web.requests import AppContextOf
from backend.notice.aliyun import report_token
from backend.notice.delivery_reports import SmsReport, record_sms_reports
from backend.notice.inbox import fetch_notices, open_notice
from backend.notice.queries import group_statistics
from backend.notice.schemas import Inbox, Opened, inbox_of, position_of
from backend.staff_api.caller import StaffCaller

router = APIRouter(prefix="/v1", tags=["notices"])


class NoticeGroup(BaseModel):
    """How far the notices of one cause have come, as far as the caller's unit reaches."""

    group_id: UUID
    recipients: int = Field(description="通知人数 · notices", examples=[2000])
    opened: int = Field(description="已打开 · opened", examples=[1650])
    channels: dict[str, dict[str, int]] = Field(
        description="各渠道各状态的数量 · counts by channel and state",
        examples=[{"in_app": {"queued": 200, "delivered": 1800}, "sms": {"sent": 40, "delivered": 1960}}],
    )


class CallbackAnswer(BaseModel):
    """What the carrier expects to hear."""

    code: int = 0
    msg: str = "成功"


@router.get("/notices", responses=documented(401, 403, 422))
async def list_notices(caller: StaffCaller, limit: Limit = 20, cursor: Cursor = None) -> Inbox:
    """我的通知（新的在前） · My notices, newest first. What is returned counts as delivered now."""
    before = position_of(cursor)
    async with caller.transaction() as session:
        page = await fetch_notices(session, caller.actor, caller.at, limit, before)
    return inbox_of(page)


@router.post("/notices/{notice_id}/read", responses=documented(401, 403, 404, 422))
async def read_notice(caller: StaffCaller, notice_id: UUID) -> Opened:
    """标记通知已读 · Record that I opened a notice; repeating it changes nothing."""
    async with caller.transaction() as session:
        opened_at = await open_notice(session, caller.actor, notice_id, caller.at)
    return Opened(id=notice_id, opened_at=opened_at)


@router.get("/notice-groups/{group_id}", responses=documented(401, 403, 404, 422))
async def show_notice_group(caller: StaffCaller, group_id: UUID) -> NoticeGroup:
    """一次通知的送达统计 · Delivery statistics of the notices of one cause."""
    async with caller.transaction() as session:
        found = await group_statistics(session, caller.actor, group_id)
    return NoticeGroup(
        group_id=found.group_id, recipients=found.recipients, opened=found.opened, channels=found.channels
    )


@router.post("/callbacks/sms-reports/{token}", responses=documented(404, 422))
async def take_sms_reports(
    app_context: AppContextOf,
    token: Annotated[str, Path(max_length=200, description="回执地址中的密钥 · the secret in the address")],
    reports: Annotated[list[SmsReport], Field(max_length=1000)],
) -> CallbackAnswer:
    """短信状态报告（SmsReport）推送 · The carrier pushes its delivery reports here."""
    if not hmac.compare_digest(token.encode(), report_token(app_context.settings.gateway_secret).encode()):
        raise NotFound
    async with app_context.database.transaction(Scope.none()) as session:
        await record_sms_reports(session, reports, app_context.clock())
    return CallbackAnswer()

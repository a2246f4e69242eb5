"""Wire schemas of notices, for both APIs."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, Field

from backend.core.listing.pages import CountedPage
from backend.core.pagination import Page
from backend.core.web.schema_types import Schema
from backend.notice.inbox import InboxItem, InboxPage
from backend.notice.push.client import PushTarget
from backend.notice.push.subscriptions import PushState


class NoticeOut(BaseModel):
    """One notice; `data` holds identifiers to link to."""

    id: UUID
    group_id: UUID
    kind: str = Field(examples=["roll_call_launched"])
    title_zh: str = Field(examples=["点名核验通知"])
    title_en: str = Field(examples=["Roll call"])
    body_zh: str = Field(examples=["请在今天 18:00 前到校内完成核验。"])
    body_en: str = Field(examples=["Verify your presence at school before 18:00 today."])
    data: dict[str, Any] = Field(examples=[{"roll_call_id": "01890a5d-ac96-774b-bcce-b302099a8057"}])
    created_at: datetime
    opened_at: datetime | None = Field(description="首次打开的时间 · when it was first opened")


class Inbox(Page[NoticeOut]):
    """A page of one's own notices, newest first."""

    unread: int = Field(description="未读总数 · all unopened notices", examples=[2])


class CountedInbox(CountedPage[NoticeOut]):
    """A page of one's own notices, with the number of all if it was asked for."""

    unread: int = Field(description="未读总数 · all unopened notices", examples=[2])


class Opened(BaseModel):
    """The receipt of opening a notice."""

    id: UUID
    opened_at: datetime = Field(description="首次打开的时间 · when it was first opened")


class NoticeGroup(BaseModel):
    """Delivery statistics of the notices of one cause, within the caller's unit."""

    group_id: UUID
    recipients: int = Field(description="通知人数 · people", examples=[2000])
    notices: int = Field(
        description="通知条数，一人可有多条 · notices; a person may get several", examples=[2000]
    )
    opened: int = Field(description="已打开 · opened", examples=[1650])
    channels: dict[str, dict[str, int]] = Field(
        description="各渠道各状态的数量 · counts by channel and state",
        examples=[{"in_app": {"queued": 200, "delivered": 1800}, "sms": {"sent": 40, "delivered": 1960}}],
    )


class PushKeys(Schema):
    """The public keys of a subscription, as the browser gives them."""

    p256dh: str = Field(
        max_length=100,
        description="P-256 公钥 · public key of the phone, base64url",
        examples=["BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"],
    )
    auth: str = Field(
        max_length=30, description="认证密钥 · 16 bytes, base64url", examples=["BTBZMqHH6r4Tts7J_aSIgg"]
    )


class PushSubscriptionIn(Schema):
    """What `PushManager.subscribe` returned in the browser."""

    endpoint: str = Field(
        max_length=2048,
        description="推送服务地址 · address at the browser's push service",
        examples=["https://updates.push.services.mozilla.com/wpush/v2/gAAAAABk"],
    )
    keys: PushKeys

    def target(self) -> PushTarget:
        """The phone that it names."""
        return PushTarget(self.endpoint, self.keys.p256dh, self.keys.auth)


class PushStateOut(BaseModel):
    """Browser notifications: whether they can be had here, and whether this phone receives them."""

    available: bool = Field(description="本系统是否开启 · whether web push is on here", examples=[True])
    public_key: str | None = Field(
        description="订阅用的公钥（applicationServerKey） · the key to subscribe with",
        examples=["BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"],
    )
    subscribed: bool = Field(
        description="本机是否已订阅 · whether the bound phone receives them", examples=[False]
    )

    @classmethod
    def of(cls, state: PushState) -> Self:
        """Render a state."""
        return cls(
            available=state.public_key is not None, public_key=state.public_key, subscribed=state.subscribed
        )


class CallbackAnswer(BaseModel):
    """The answer that the SMS provider expects."""

    code: int = 0
    msg: str = "成功"


def inbox_out(page: InboxPage) -> Inbox:
    """Convert a page of notices."""
    rendered = page.page.render(_notice_out)
    return Inbox(items=rendered.items, next_cursor=rendered.next_cursor, unread=page.unread)


def counted_inbox_out(page: InboxPage) -> CountedInbox:
    """Convert a page of notices that has a total."""
    rendered = page.page.render_counted(_notice_out)
    return CountedInbox(
        items=rendered.items, next_cursor=rendered.next_cursor, total=rendered.total, unread=page.unread
    )


def _notice_out(item: InboxItem) -> NoticeOut:
    message = item.message
    return NoticeOut(
        id=item.notice.id,
        group_id=message.group_id,
        kind=message.kind,
        title_zh=message.title_zh,
        title_en=message.title_en,
        body_zh=message.body_zh,
        body_en=message.body_en,
        data=message.data,
        created_at=item.notice.created_at,
        opened_at=item.opened_at,
    )

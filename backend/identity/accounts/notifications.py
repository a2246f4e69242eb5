"""Notices about the reset of a second factor: to the owner of the account, and to those who can decide."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.bilingual import Bilingual, format_instant
from backend.identity.events import AuthenticatorResetDecided, AuthenticatorResetRequested
from backend.identity.recipients import select_staff
from backend.identity.tables import Account, AuthenticatorReset
from backend.notice.messages import IN_APP, IN_APP_AND_SMS, Message, NoticeText, SmsText, StaffRecipient
from backend.notice.service import post_notice, post_notices

REQUESTED_TO_OWNER = NoticeText(
    Bilingual("有人申请重置您的验证器", "Someone asked to reset your authenticator"),
    Bilingual(
        "有人申请重置您账号的验证器，经另一人复核后，您须重新激活账号。如非您本人要求，请立即联系上级管理员。",
        "Someone asked to reset the authenticator of your account. Once another person has approved it, you must activate the account again."
        " If you did not ask for it, contact your superior at once.",
    ),
)
DECIDED_TO_OWNER = {
    "approved": NoticeText(
        Bilingual("您的验证器已重置", "Your authenticator was reset"),
        Bilingual(
            "您账号的验证器已重置，所有登录已结束。请向复核人领取激活码，重新激活账号。如非您本人要求，请立即联系上级管理员。",
            "The authenticator of your account was reset and every session has ended. Get the activation code from the person who approved it and"
            " activate the account again. If you did not ask for it, contact your superior at once.",
        ),
    ),
    "refused": NoticeText(
        Bilingual("重置验证器的申请未获同意", "The reset of your authenticator was refused"),
        Bilingual("您的账号没有变化。", "Nothing changed in your account."),
    ),
}
WAITING_TO_PEERS = NoticeText(
    Bilingual("有重置验证器的申请待复核", "A reset of an authenticator waits for approval"),
    Bilingual(
        "本单位有重置验证器的申请。请当面或电话核对本人后，在“重置验证器”中复核；申请人不能复核自己的申请。",
        "A colleague of your unit needs a new authenticator. Check the identity in person or by phone, then decide. The person who requested it cannot"
        " approve it.",
    ),
)
_ADMINISTRATORS = ("province", "bureau", "registrar")


async def notify_reset_requested(
    session: AsyncSession, event: AuthenticatorResetRequested, at: datetime
) -> None:
    """Warn the owner, also by SMS, and tell the other administrators of the unit."""
    await _notify_owner(session, event, "authenticator_reset_requested", REQUESTED_TO_OWNER, at)
    requester = await session.scalar(
        select(AuthenticatorReset.requested_by).where(AuthenticatorReset.id == event.reset_id)
    )
    peers = select_staff(*_peers(event, requester))
    message = Message.of("authenticator_reset_waiting", event.reset_id, WAITING_TO_PEERS, {})
    await post_notices(session, peers, message, IN_APP, at)


async def notify_reset_decided(session: AsyncSession, event: AuthenticatorResetDecided, at: datetime) -> None:
    """Tell the owner of the decision, also by SMS."""
    text = DECIDED_TO_OWNER[event.outcome]
    await _notify_owner(session, event, "authenticator_reset_decided", text, at)


def _peers(event: AuthenticatorResetRequested, requester: UUID | None) -> tuple[ColumnElement[bool], ...]:
    return (
        Account.org_path == event.path,
        Account.kind.in_(_ADMINISTRATORS),
        Account.id != event.account_id,
        Account.id != requester,
    )


async def _notify_owner(
    session: AsyncSession,
    event: AuthenticatorResetRequested,
    kind: str,
    text: NoticeText,
    at: datetime,
) -> None:
    account = await session.get_one(Account, event.account_id)
    recipient = StaffRecipient(account.id, account.org_path, account.school_id, account.phone)
    sms = SmsText("notice", {"title": "重置验证器", "until": format_instant(at)})
    message = Message.of(kind, event.reset_id, text, {}, sms)
    channels = IN_APP if account.phone is None else IN_APP_AND_SMS
    await post_notice(session, recipient, message, channels, at)

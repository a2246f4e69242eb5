"""Telling the owner of an account that failed sign-ins delay the next one.

A job does this from the sign-in log: the request itself must take the same time for known and unknown login names.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.bilingual import Bilingual, format_instant
from backend.core.ids import new_id
from backend.identity.sign_in.tables import SignInEvent
from backend.identity.tables import Account
from backend.notice.messages import IN_APP, Message, NoticeText, StaffRecipient
from backend.notice.service import post_notice
from backend.notice.tables import Notice, NoticeMessage

KIND = "sign_in_delayed"
LOOK_BACK = timedelta(minutes=15)
"""Longer than the interval of the job, so that a short outage loses nothing; a day between two notices avoids repeats."""
QUIET = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DelayedAccount:
    """An account with a delay that began lately, and its owner was not told within a day."""

    account_id: UUID
    org_path: str
    school_id: UUID | None


async def load_delayed_accounts(session: AsyncSession, at: datetime) -> list[DelayedAccount]:
    """The active accounts whose owners must be told. Needs a scope that covers them."""
    told = (
        exists()
        .where(Notice.account_id == Account.id, Notice.created_at > at - QUIET)
        .where(NoticeMessage.id == Notice.message_id, NoticeMessage.kind == KIND)
    )
    query = (
        select(Account.id, Account.org_path, Account.school_id)
        .join(SignInEvent, SignInEvent.account_id == Account.id)
        .where(
            SignInEvent.at > at - LOOK_BACK,
            SignInEvent.delayed_until.is_not(None),
            SignInEvent.known_device.is_(False),
            Account.status == "active",
            ~told,
        )
        .distinct()
    )
    return [DelayedAccount(*row) for row in await session.execute(query)]


async def tell_owner(session: AsyncSession, account: DelayedAccount, at: datetime) -> None:
    """Post the notice in the app."""
    text = NoticeText(
        Bilingual("有人多次尝试登录您的账号", "Repeated failed sign-ins to your account"),
        Bilingual(
            f"截至 {format_instant(at)}，有设备用您的登录名多次登录失败，陌生设备须等待后才能再试；您登录过的设备不受影响。"
            "请查看“登录日志”，如有异常请修改密码并告知上级管理员。",
            f"Until {format_instant(at)}, a device failed repeatedly to sign in with your login name. Unknown devices have to wait; devices"
            " that you signed in with are not affected. See the sign-in log; if something is wrong, change your password and"
            " tell your superior.",
        ),
    )
    recipient = StaffRecipient(account.account_id, account.org_path, account.school_id)
    await post_notice(session, recipient, Message.of(KIND, new_id(), text, {}), IN_APP, at)

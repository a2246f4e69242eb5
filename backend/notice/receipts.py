"""Receipts with legal consequences: emits `NoticeReceived` when such a notice is first received."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import outbox
from backend.notice.events import NoticeReceived

LEGALLY_RELEVANT = frozenset({"prompt_raised"})
"""Kinds of notices whose receipt starts a period. For all others only the receipt is stored."""


class Addressee(Protocol):
    """The person a notice was addressed to."""

    account_id: UUID | None
    school_id: UUID | None
    org_path: str | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """Which notice was received, through which channel and when."""

    kind: str
    group_id: UUID
    channel: str
    received_at: datetime


async def emit_received(session: AsyncSession, receipt: Receipt, addressee: Addressee, at: datetime) -> None:
    """Emit `NoticeReceived` if the addressee is a staff account of a school; do nothing for students and other units."""
    if addressee.account_id is None or addressee.school_id is None or addressee.org_path is None:
        return
    event = NoticeReceived(
        kind=receipt.kind,
        group_id=receipt.group_id,
        channel=receipt.channel,
        received_at=receipt.received_at,
        account_id=addressee.account_id,
        school_id=addressee.school_id,
        path=addressee.org_path,
    )
    await outbox.emit(session, event, at)

"""Notices whose first receipt has legal consequences are announced to the rooms above when they are received."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import outbox

COUNTED = frozenset({"prompt_raised"})
"""The kinds that count; of all others only the receipt is kept."""


class Addressed(Protocol):
    """Whom a notice was addressed to."""

    account_id: UUID | None
    school_id: UUID | None
    org_path: str | None


@dataclass(frozen=True, slots=True)
class Received:
    """What was received, in which channel and when."""

    kind: str
    group_id: UUID
    channel: str
    received_at: datetime


async def tell_received(session: AsyncSession, received: Received, to: Addressed, at: datetime) -> None:
    """Emit `NoticeReceived` for a notice to an account of a school's staff; nothing else counts so far."""
    if to.account_id is None or to.school_id is None or to.org_path is None:
        return
    payload = {
        "kind": received.kind,
        "group_id": str(received.group_id),
        "channel": received.channel,
        "received_at": received.received_at.isoformat(),
        "account_id": str(to.account_id),
        "school_id": str(to.school_id),
        "path": to.org_path,
    }
    await outbox.emit(session, "NoticeReceived", payload, at)

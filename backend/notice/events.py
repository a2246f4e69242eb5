"""Events of notices."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from backend.core.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeReceived(Event):
    """A notice whose receipt has legal consequences was first received."""

    kind: str
    group_id: UUID
    channel: str
    received_at: datetime
    account_id: UUID
    school_id: UUID
    path: str

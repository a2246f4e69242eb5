"""The only place that reads a clock. Everything else is told the time."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

LEGAL_ZONE = ZoneInfo("Asia/Shanghai")
"""Legal days begin and end at midnight here."""

Clock = Callable[[], datetime]


def now() -> datetime:
    """The present instant, in UTC, timezone-aware."""
    return datetime.now(UTC)


def legal_day(instant: datetime) -> date:
    """The day in law to which an instant belongs; refuses naive datetimes."""
    if instant.tzinfo is None:
        msg = "a naive datetime names no instant"
        raise ValueError(msg)
    return instant.astimezone(LEGAL_ZONE).date()

"""The only place that reads a clock. Everything else is told the time."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
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


def shifted_clock(offset_file: Path) -> Clock:
    """The real time plus the seconds written in a file: for demonstrations that cannot wait, never in production."""

    def shifted() -> datetime:
        try:
            offset = float(offset_file.read_text())
        except FileNotFoundError:
            offset = 0.0
        return now() + timedelta(seconds=offset)

    return shifted

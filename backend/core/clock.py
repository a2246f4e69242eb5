"""The only module that reads the clock. All other code receives the time as an argument."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

LEGAL_ZONE = ZoneInfo("Asia/Shanghai")
"""Legal days begin and end at midnight here."""

Clock = Callable[[], datetime]


def now() -> datetime:
    """The current time, timezone-aware, in UTC."""
    return datetime.now(UTC)


def legal_day(instant: datetime) -> date:
    """The legal day of an instant: its date in `LEGAL_ZONE`. Raises ValueError for a naive datetime."""
    if instant.tzinfo is None:
        msg = "a naive datetime has no legal day"
        raise ValueError(msg)
    return instant.astimezone(LEGAL_ZONE).date()


def shifted_clock(offset_file: Path) -> Clock:
    """A clock that adds the seconds written in a file to the real time. For demonstrations, never in production."""

    def shifted() -> datetime:
        try:
            offset = float(offset_file.read_text())
        except FileNotFoundError:
            offset = 0.0
        return now() + timedelta(seconds=offset)

    return shifted


def advance_shifted_clock(offset_file: Path, seconds: float) -> None:
    """Move a shifted clock forward for all processes that read the file."""
    offset = float(offset_file.read_text()) if offset_file.exists() else 0.0
    replacement = offset_file.with_suffix(".new")
    replacement.write_text(str(offset + seconds))
    replacement.replace(offset_file)

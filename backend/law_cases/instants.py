"""Times as a lawyer writes them: `2025-09-15 09:00` in Beijing time, `2025-10-10 24:00` for the end of a day."""

import re
from datetime import date, datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator

from backend.core.clock import LEGAL_ZONE

INSTANT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")


def instant(value: object) -> datetime:
    """A day with a time. A day alone is refused: it would be ambiguous between morning and midnight."""
    match = INSTANT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("needs a day and a time, such as 2025-09-15 09:00")
    hours, minutes, seconds = int(match[2]), int(match[3]), int(match[4] or 0)
    is_midnight = (hours, minutes, seconds) == (24, 0, 0)
    if (hours > 23 and not is_midnight) or minutes > 59 or seconds > 59:  # noqa: PLR2004 — hours and minutes of a clock
        raise ValueError("is not a time of day")
    start = datetime.combine(day(match[1]), datetime.min.time(), tzinfo=LEGAL_ZONE)
    return start + timedelta(hours=hours, minutes=minutes, seconds=seconds)


def day(value: object) -> date:
    if not isinstance(value, str) or not DAY.fullmatch(value):
        raise ValueError("needs a day, such as 2025-09-15")
    return date.fromisoformat(value)


def month(value: object) -> date:
    """A month, as its first day."""
    if not isinstance(value, str) or not MONTH.fullmatch(value):
        raise ValueError("needs a month, such as 2025-09")
    return date.fromisoformat(f"{value}-01")


def start_of_day(value: object) -> datetime:
    """The beginning of a period: an instant, or the first minute of a day."""
    if isinstance(value, str) and DAY.fullmatch(value):
        return instant(f"{value} 00:00")
    return instant(value)


def end_of_day(value: object) -> datetime:
    """The end of a period: an instant, or the end of a day."""
    if isinstance(value, str) and DAY.fullmatch(value):
        return instant(f"{value} 24:00")
    return instant(value)


Instant = Annotated[datetime, BeforeValidator(instant)]
Day = Annotated[date, BeforeValidator(day)]
Month = Annotated[date, BeforeValidator(month)]
Beginning = Annotated[datetime, BeforeValidator(start_of_day)]
Ending = Annotated[datetime, BeforeValidator(end_of_day)]

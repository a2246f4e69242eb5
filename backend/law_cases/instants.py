"""Times as a lawyer writes them: `2025-09-15 09:00` in Beijing time, `2025-10-10 24:00` for the end of a day."""

import re
from datetime import date, datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from backend.core.clock import LEGAL_ZONE

INSTANT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
FIRST_YEAR, LAST_YEAR = 2000, 2098
"""Years that every computation with a margin of a year can represent."""


def instant(value: object) -> datetime:
    """A day with a time. A day alone is refused: it would be ambiguous between morning and midnight."""
    if (
        isinstance(value, datetime) and value.tzinfo is not None
    ):  # from the product itself; files and requests have text
        return value
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
    if type(value) is date:
        return value
    if not isinstance(value, str) or not DAY.fullmatch(value):
        raise ValueError("needs a day, such as 2025-09-15")
    found = date.fromisoformat(value)
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise ValueError(f"needs a year from {FIRST_YEAR} to {LAST_YEAR}")
    return found


def month(value: object) -> date:
    """A month, as its first day."""
    if not isinstance(value, str) or not MONTH.fullmatch(value):
        raise ValueError("needs a month, such as 2025-09")
    return day(f"{value}-01")


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


def format_instant(at: datetime) -> str:
    """The instant as `instant` reads it, with seconds only where there are some."""
    local = at.astimezone(LEGAL_ZONE)
    return local.strftime("%Y-%m-%d %H:%M:%S" if local.second else "%Y-%m-%d %H:%M")


def _schema(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", "examples": [example]})


_DAY = "20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_INSTANT = _DAY + "[ T]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?"
_INSTANT_OR_END = f"({_INSTANT}|{_DAY}[ T]24:00(:00)?)"
_as_instant = PlainSerializer(format_instant, return_type=str, when_used="json")
_instant_schema = _schema(_INSTANT_OR_END, "2025-09-15 09:00")
_bound_schema = _schema(f"({_INSTANT_OR_END}|{_DAY})", "2025-09-15")

Instant = Annotated[datetime, BeforeValidator(instant), _as_instant, _instant_schema]
Day = Annotated[date, BeforeValidator(day), _schema(_DAY, "2025-09-15")]
Month = Annotated[
    date,
    BeforeValidator(month),
    PlainSerializer(lambda value: value.strftime("%Y-%m"), return_type=str, when_used="json"),
    _schema("20[0-9]{2}-(0[1-9]|1[0-2])", "2025-09"),
]
Beginning = Annotated[datetime, BeforeValidator(start_of_day), _as_instant, _bound_schema]
Ending = Annotated[datetime, BeforeValidator(end_of_day), _as_instant, _bound_schema]

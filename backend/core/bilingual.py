"""A text in Chinese and English, and how instants and terms are written in texts."""

import re
from datetime import date, datetime
from typing import NamedTuple

from backend.core.clock import LEGAL_ZONE


class Bilingual(NamedTuple):
    """A sentence or phrase in both languages."""

    zh: str
    en: str


def format_instant(at: datetime) -> str:
    """An instant in China's time zone, to the minute."""
    return at.astimezone(LEGAL_ZONE).strftime("%Y-%m-%d %H:%M")


def format_end(at: datetime) -> str:
    """An exclusive end in China's time zone. Midnight is written as 24:00 of the day that ends."""
    local = at.astimezone(LEGAL_ZONE)
    if (local.hour, local.minute, local.second) == (0, 0, 0):
        return f"{date.fromordinal(local.date().toordinal() - 1).isoformat()} 24:00"
    return format_instant(at)


_TERM = re.compile(r"([0-9]{4})-(spring|autumn)")


def term_words(code: str) -> Bilingual:
    """The name of a term by its code. A code in a school's own format is used as the name."""
    match = _TERM.fullmatch(code)
    if match is None:
        return (
            Bilingual(f"学期 {code}", f"term {code}") if code else Bilingual("学期之外", "outside the terms")
        )
    year, half = match.groups()
    return Bilingual(f"{year}年{'春' if half == 'spring' else '秋'}季学期", f"{half} term of {year}")

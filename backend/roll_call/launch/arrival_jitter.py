"""A province does not come in one second: everyone has an instant of their own within a spread that the law leaves room for.

Pure. The instant is keyed, so that nobody can tell whose comes when; it is a hint, and whoever comes earlier is served.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

_PARTS = 2**32
NONE = timedelta(0)


@dataclass(frozen=True, slots=True)
class Window:
    """When people are told and may check in, the shortest window that is fair to them, and the grace of the dispatch."""

    notify_at: datetime
    opens_at: datetime
    closes_at: datetime
    minimum: timedelta
    grace: timedelta

    @property
    def starts_at(self) -> datetime:
        """From when on somebody who was told can check in."""
        return max(self.notify_at, self.opens_at)

    def room(self, spread: timedelta) -> timedelta:
        """How far the last one may be put off: what is left to each is still told in time (readings 6 and 8)."""
        latest = self.closes_at + self.grace - self.minimum
        return max(NONE, min(spread, latest - self.starts_at))


def jitter_fraction(key: bytes, roll_call_id: UUID, student_id: UUID) -> float:
    """A number from 0 to below 1 that is this student's in this roll call."""
    drawn = hmac.new(key, b"spread/" + roll_call_id.bytes + student_id.bytes, hashlib.sha256).digest()
    return int.from_bytes(drawn[:4]) / _PARTS

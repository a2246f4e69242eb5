"""Spreads the arrivals of a large audience: each student gets a random offset within a period that the law permits.

Pure. The offset is a keyed hash, so that it cannot be predicted. It is a hint only: earlier check-ins are accepted.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

_HASH_RANGE = 2**32
ZERO = timedelta(0)


@dataclass(frozen=True, slots=True)
class ArrivalWindow:
    """Times of the notice and the window, the minimum window of the law, and the grace period after the close."""

    notify_at: datetime
    opens_at: datetime
    closes_at: datetime
    minimum: timedelta
    grace: timedelta

    @property
    def starts_at(self) -> datetime:
        """The earliest time at which a notified student can check in."""
        return max(self.notify_at, self.opens_at)

    def max_jitter(self, spread: timedelta) -> timedelta:
        """The largest offset, up to `spread`, that still leaves every student the minimum window (readings 6 and 8)."""
        latest_start = self.closes_at + self.grace - self.minimum
        return max(ZERO, min(spread, latest_start - self.starts_at))


def jitter_fraction(key: bytes, roll_call_id: UUID, student_id: UUID) -> float:
    """The offset of a student in a roll call, as a fraction from 0 up to but excluding 1."""
    digest = hmac.new(key, b"spread/" + roll_call_id.bytes + student_id.bytes, hashlib.sha256).digest()
    return int.from_bytes(digest[:4]) / _HASH_RANGE

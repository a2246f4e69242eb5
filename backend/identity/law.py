"""The figures of policy at an instant, at the deploying province."""

from datetime import date, datetime
from functools import lru_cache

from backend.core.clock import legal_day
from backend.core.runtime import Runtime
from backend.policy import Policy, PolicyAt, load_policies


@lru_cache(maxsize=1)
def _policies() -> Policy:
    """Read once a process; every request asks."""
    return load_policies()


def law_at(runtime: Runtime, at: datetime) -> PolicyAt:
    """The law in force on the legal day of `at`."""
    return law_of_day(legal_day(at), runtime.settings.province_code)


def law_of_day(day: date, place: str) -> PolicyAt:
    """The law in force on a day in a place."""
    return _policies().at(day, place)

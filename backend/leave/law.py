"""The figures of leave, read from policy at a day and place."""

from datetime import date
from functools import lru_cache

from backend.leave.rules import LeaveLaw
from backend.org.paths import division_of
from backend.policy import Policy, PolicyAt, load_policies


@lru_cache(maxsize=1)
def policies() -> Policy:
    """The policies of this installation, read once a process."""
    return load_policies()


def law_at(day: date, org_path: str) -> PolicyAt:
    """The law in force on a legal day for the unit at the path."""
    return policies().at(day, division_of(org_path))


def leave_law(day: date, org_path: str) -> LeaveLaw:
    """The figures of leave on a legal day for the school at the path."""
    return LeaveLaw.at(law_at(day, org_path))

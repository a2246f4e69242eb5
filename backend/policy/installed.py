"""The policy of this installation: read from `policies/` once a process."""

from datetime import date
from functools import lru_cache

from backend.policy.history import Policy, PolicyAt
from backend.policy.loader import load_policies


@lru_cache(maxsize=1)
def installed_policy() -> Policy:
    """All policy parameters of this installation. Raises `PolicyInvalid` if the files do not hold together."""
    return load_policies()


def policy_at(day: date, division: str) -> PolicyAt:
    """The policy in force on a legal day in a division (six-digit GB/T 2260 code)."""
    return installed_policy().at(day, division)

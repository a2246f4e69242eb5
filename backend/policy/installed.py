"""The policy of this installation, read from `policies/` once per process."""

from datetime import date
from functools import lru_cache

from backend.policy.history import Policy, PolicyAt
from backend.policy.loader import load_policies


@lru_cache(maxsize=1)
def installed_policy() -> Policy:
    """Return all policy parameters of this installation. Raises `PolicyInvalid` if a file is invalid."""
    return load_policies()


def policy_at(day: date, division: str) -> PolicyAt:
    """Return the policy in force on a legal day in a division (six-digit GB/T 2260 code)."""
    return installed_policy().at(day, division)

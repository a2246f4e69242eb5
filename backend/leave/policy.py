"""Leave parameters by day and place."""

from datetime import date

from backend.leave.rules import LeavePolicy
from backend.org.paths import division_of
from backend.policy.installed import policy_at


def leave_policy(day: date, org_path: str) -> LeavePolicy:
    """The leave parameters on a legal day for the school at the path."""
    return LeavePolicy.at(policy_at(day, division_of(org_path)))

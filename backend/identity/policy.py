"""The policy of the deploying province at an instant."""

from datetime import datetime

from backend.core.app_context import AppContext
from backend.core.clock import legal_day
from backend.policy import PolicyAt
from backend.policy.installed import policy_at


def province_policy(app_context: AppContext, at: datetime) -> PolicyAt:
    """The policy in force in the deploying province on the legal day of `at`."""
    return policy_at(legal_day(at), app_context.settings.province_code)

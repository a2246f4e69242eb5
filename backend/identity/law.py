"""The figures of policy at an instant, at the deploying province."""

from datetime import datetime

from backend.core.clock import legal_day
from backend.core.runtime import Runtime
from backend.policy import PolicyAt, load_policies


def law_at(runtime: Runtime, at: datetime) -> PolicyAt:
    """The law in force on the legal day of `at`."""
    return load_policies().at(legal_day(at), runtime.settings.province_code)

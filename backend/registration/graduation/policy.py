"""Reads the law of graduation from the policy."""

from backend.policy import PolicyAt
from backend.registration.graduation.rules import GraduationLaw


def graduation_law(policy: PolicyAt) -> GraduationLaw:
    """The law in force. Raises `AbsentLaw`."""
    return GraduationLaw(
        window_working_days=policy.integer("graduation.window.working_days"),
        standings=policy.texts("graduation.standings"),
    )

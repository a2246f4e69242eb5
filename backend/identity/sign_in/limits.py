"""The limits on failed attempts on a day, from the policy."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from backend.core.app_context import AppContext
from backend.identity.policy import province_policy
from backend.identity.rules import delay_schedule
from backend.policy import PolicyAt


@dataclass(frozen=True, slots=True)
class SignInLimits:
    """The delays after each failed attempt: under a login name, from a known device, and from an address."""

    login_delays: list[timedelta]
    device_delays: list[timedelta]
    address_delays: list[timedelta]
    memory: timedelta
    address_memory: timedelta
    device_lifetime: timedelta


def sign_in_limits(app_context: AppContext, at: datetime) -> SignInLimits:
    """The limits in force."""
    policy = province_policy(app_context, at)
    return SignInLimits(
        login_delays=delay_schedule(
            policy.integer("identity.sign_in.max_failed_attempts"),
            policy.duration("identity.sign_in.first_delay"),
            policy.duration("identity.sign_in.longest_delay"),
        ),
        device_delays=delay_schedule(
            policy.integer("identity.known_device.max_failed_attempts"),
            policy.duration("identity.known_device.first_delay"),
            policy.duration("identity.known_device.longest_delay"),
        ),
        address_delays=address_delays(policy, "identity.address.max_failed_attempts"),
        memory=policy.duration("identity.sign_in.failures_remembered"),
        address_memory=policy.duration("identity.address.failures_remembered"),
        device_lifetime=policy.duration("identity.known_device.lifetime"),
    )


def address_delays(policy: PolicyAt, max_attempts: str) -> list[timedelta]:
    """The delays of a network address; `max_attempts` is the id of the parameter with the limit."""
    return delay_schedule(
        policy.integer(max_attempts),
        policy.duration("identity.address.first_delay"),
        policy.duration("identity.address.longest_delay"),
    )

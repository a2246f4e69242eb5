"""Counting attempts to sign in. Failures delay the next attempt, longer each time, but never close an account.

An attempt is counted under its login name, or, from a device that signed in to the account before, under that device
(OWASP, "Slow Down Online Guessing Attacks with Device Cookies"): a stranger's guesses do not delay the own device. Unknown
login names are counted like known ones. Behind a configured proxy, attempts from other devices are also counted under
their network address.
"""

import math
from datetime import datetime

from backend.core.app_context import AppContext
from backend.core.web.client import Client
from backend.identity.errors import TooManyAttempts
from backend.identity.policy import province_policy
from backend.identity.sign_in import unscoped_queries
from backend.identity.sign_in.limits import sign_in_limits
from backend.identity.sign_in.secrets import hash_secret
from backend.identity.sign_in.unscoped_queries import Attempt, AttemptKeys, LogEntry, Outcome, Reason
from backend.org.paths import build_unit_path

_PURPOSE = "sign-in"


async def start_attempt(
    app_context: AppContext, login: str, device_token: str | None, client: Client, at: datetime
) -> Attempt:
    """Count an attempt to sign in and load the account; raises `TooManyAttempts` while it must wait."""
    device_hash = None if device_token is None else hash_secret(device_token)
    keyed_hash = app_context.keys.keyed_hash
    keys = AttemptKeys(
        device_hash=device_hash,
        login=keyed_hash(f"{_PURPOSE}:login:{login.strip().casefold()}"),
        device=None if device_hash is None else keyed_hash(f"{_PURPOSE}:device:{device_hash.hex()}"),
        address=client.address_key(app_context, _PURPOSE),
    )
    return await _open(app_context, login, keys, client, at)


async def start_address_attempt(app_context: AppContext, login: str, client: Client, at: datetime) -> Attempt:
    """Count an attempt under its address only: a code of 80 bits or a signature of a passkey cannot be guessed."""
    address = client.address_key(app_context, _PURPOSE)
    keys = AttemptKeys(device_hash=None, login=None, device=None, address=address)
    return await _open(app_context, login, keys, client, at)


async def _open(
    app_context: AppContext, login: str, keys: AttemptKeys, client: Client, at: datetime
) -> Attempt:
    limits = sign_in_limits(app_context, at)
    attempt = await unscoped_queries.open_sign_in(app_context.database, login, keys, limits, at)
    if attempt.allowed:
        return attempt
    assert attempt.waits_until is not None
    if attempt.first_refusal:
        await record_attempt(app_context, attempt, "delayed", "delay", client, at)
    raise TooManyAttempts(wait_s=math.ceil((attempt.waits_until - at).total_seconds()))


async def forget_attempt(app_context: AppContext, attempt: Attempt) -> None:
    """Take back the failure counted for an attempt whose factors were right."""
    await unscoped_queries.forget_attempt(app_context.database, attempt.counted_key, attempt.counted_address)


async def record_attempt(
    app_context: AppContext,
    attempt: Attempt,
    outcome: Outcome,
    reason: Reason | None,
    client: Client,
    at: datetime,
) -> None:
    """Add the attempt to the sign-in log. Attempts at unknown login names belong to the province."""
    account = attempt.account
    province = build_unit_path("province", app_context.settings.province_code, None)
    entry = LogEntry(
        account_id=None if account is None else account.actor.account_id,
        org_path=province if account is None else account.actor.org_path,
        outcome=outcome,
        reason=reason,
        known_device=attempt.device_id is not None,
        delayed_until=None if outcome == "succeeded" else attempt.waits_until,
    )
    limit = province_policy(app_context, at).integer("identity.sign_in.unknown_logged_per_minute")
    await unscoped_queries.record_sign_in(app_context.database, entry, client, limit, at)

"""Time-based one-time codes (RFC 6238). The time is an argument; the caller accepts each code once."""

import hmac
from datetime import datetime
from uuid import UUID

import pyotp

from backend.core.keys import KeyRing

ISSUER = "点名 Dianming"
STEP_SECONDS = 30
DRIFT_STEPS = 1
PLACEHOLDER_SECRET = "A" * 32
"""Stands for the secret of an account that does not exist, so that checking a code takes the same time."""


def new_secret() -> str:
    """A new random base32 secret of 160 bits."""
    return pyotp.random_base32()


def otpauth_uri(secret: str, login: str) -> str:
    """The URI that an authenticator app scans."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER)


def seal_secret(keys: KeyRing, account_id: UUID, secret: str) -> bytes:
    """Encrypt the secret, bound to its account."""
    return keys.encrypt("identifier", secret.encode(), _encryption_context(account_id))


def open_secret(keys: KeyRing, account_id: UUID, sealed: bytes) -> str:
    """Decrypt what `seal_secret` returned."""
    return keys.decrypt("identifier", sealed, _encryption_context(account_id)).decode()


def _encryption_context(account_id: UUID) -> bytes:
    return b"account-totp:" + account_id.bytes


def find_matching_step(secret: str, code: str, at: datetime) -> int | None:
    """The 30-second step of this code, at most one step from the server's time; None for a wrong code."""
    now_step = int(at.timestamp()) // STEP_SECONDS
    totp = pyotp.TOTP(secret)
    for step in range(now_step - DRIFT_STEPS, now_step + DRIFT_STEPS + 1):
        if hmac.compare_digest(totp.at(step * STEP_SECONDS), code):
            return step
    return None

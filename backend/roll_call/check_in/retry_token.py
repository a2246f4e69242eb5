"""Turned away under load is not late: the server's signed word of when an envelope first came.

The token names the account, the roll call and the digest of the envelope, so that it helps nobody else and no other
envelope: what was signed by then is what counts as having come then.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from backend.core import jws
from backend.core.keys import KeyRing

TYPE = "dianming-attempted+jws"
KIND = "attempted"


@dataclass(frozen=True, slots=True)
class RetryToken:
    """Who tried to send what, and when it came."""

    account_id: UUID
    roll_call_id: UUID
    digest: bytes
    at: datetime


def sign_retry_token(keys: KeyRing, attempt: RetryToken) -> str:
    """A compact JWS (ES256) over the attempt."""
    version, key = keys.signer("receipt")
    claims = {
        "kind": KIND,
        "account": str(attempt.account_id),
        "roll_call": str(attempt.roll_call_id),
        "envelope_sha256": attempt.digest.hex(),
        "attempted_at": attempt.at.isoformat(),
    }
    return jws.sign({"kid": version, "typ": TYPE}, claims, key)


def earlier_instant(
    keys: KeyRing, token: str | None, attempt: RetryToken, life: timedelta
) -> datetime | None:
    """When this very attempt first came, if `token` is our word for it and not older than `life`.

    Anything else is as good as none: the attempt then counts from when it came now.
    """
    if token is None:
        return None
    try:
        taken = jws.take_apart(token)
        if taken.header.get("typ") != TYPE:
            return None
        taken.verify(keys.signers["receipt", str(taken.header.get("kid"))].public_key())
    except (jws.NotCompact, jws.SignatureWrong, KeyError):
        return None
    claims = json.loads(taken.payload)  # ours, from here on
    at = datetime.fromisoformat(claims["attempted_at"])
    same = (claims["account"], claims["roll_call"], claims["envelope_sha256"]) == (
        str(attempt.account_id),
        str(attempt.roll_call_id),
        attempt.digest.hex(),
    )
    return at if same and at <= attempt.at <= at + life else None


def retry_after(keys: KeyRing, account_id: UUID, digest: bytes, wait: float, spread: int) -> int:
    """Whole seconds after which this one comes back, each at an instant of their own, so that nobody comes in a crowd."""
    drawn = hmac.new(
        keys.secret("blind-index"), b"retry/" + account_id.bytes + digest, hashlib.sha256
    ).digest()
    return 1 + int(wait) + int.from_bytes(drawn[:4]) % spread

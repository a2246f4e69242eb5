"""Retry tokens: a request that was rejected because of load is not late when it is repeated.

The token is signed by the server and names the account, the roll call, the digest of the envelope and the time of the
first attempt. It is valid only for that same envelope, which had been signed by then.
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
    """The content of a retry token: who tried to submit which envelope, and when."""

    account_id: UUID
    roll_call_id: UUID
    digest: bytes
    at: datetime


def sign_retry_token(keys: KeyRing, attempt: RetryToken) -> str:
    """Sign the token as a compact JWS (ES256)."""
    version, key = keys.signer("receipt")
    claims = {
        "kind": KIND,
        "account": str(attempt.account_id),
        "roll_call": str(attempt.roll_call_id),
        "envelope_sha256": attempt.digest.hex(),
        "attempted_at": attempt.at.isoformat(),
    }
    return jws.sign({"kid": version, "typ": TYPE}, claims, key)


def read_first_attempt(
    keys: KeyRing, token: str | None, attempt: RetryToken, ttl: timedelta
) -> datetime | None:
    """Return the time of the first attempt if `token` is valid for this attempt and not older than `ttl`.

    Returns None for any other token: the attempt then counts from its own arrival.
    """
    if token is None:
        return None
    try:
        parsed = jws.parse_jws(token)
        if parsed.header.get("typ") != TYPE:
            return None
        parsed.verify(keys.signers["receipt", str(parsed.header.get("kid"))].public_key())
    except (jws.JwsMalformed, jws.SignatureWrong, KeyError):
        return None
    claims = json.loads(parsed.payload)  # the signature is ours, so the content is well-formed
    at = datetime.fromisoformat(claims["attempted_at"])
    same = (claims["account"], claims["roll_call"], claims["envelope_sha256"]) == (
        str(attempt.account_id),
        str(attempt.roll_call_id),
        attempt.digest.hex(),
    )
    return at if same and at <= attempt.at <= at + ttl else None


def choose_retry_delay(keys: KeyRing, account_id: UUID, digest: bytes, wait: float, spread: int) -> int:
    """Return the seconds to wait before the retry: the expected wait plus a pseudo-random jitter below `spread`."""
    jitter = hmac.new(
        keys.secret("blind-index"), b"retry/" + account_id.bytes + digest, hashlib.sha256
    ).digest()
    return 1 + int(wait) + int.from_bytes(jitter[:4]) % spread

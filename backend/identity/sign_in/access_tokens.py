"""Short-lived access tokens (ES256): a phone's is bound to its key (`cnf.jkt`), a staff token to its session (`sid`)."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from backend.core import jws
from backend.core.keys import KeyRing
from backend.identity.errors import (
    PhoneTokenExpired,
    PhoneTokenInvalid,
    TokenExpired,
    TokenInvalid,
)

Audience = Literal["phone", "staff"]
_ISSUER = "dianming"
_ERRORS: dict[Audience, tuple[type[TokenInvalid], type[TokenExpired]]] = {
    "phone": (PhoneTokenInvalid, PhoneTokenExpired),
    "staff": (TokenInvalid, TokenExpired),
}


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token and its lifetime in seconds."""

    value: str
    expires_in: int


def issue_phone_token(
    keys: KeyRing, account_id: UUID, jkt: str, at: datetime, life: timedelta
) -> IssuedToken:
    """A token that can only be used with the key of thumbprint `jkt`."""
    return _issue(keys, "phone", {"sub": str(account_id), "cnf": {"jkt": jkt}}, at, life)


def issue_staff_token(
    keys: KeyRing, account_id: UUID, session_id: UUID, at: datetime, life: timedelta
) -> IssuedToken:
    """A token of one staff session."""
    return _issue(keys, "staff", {"sub": str(account_id), "sid": str(session_id)}, at, life)


@dataclass(frozen=True, slots=True)
class PhoneToken:
    """The claims of a phone's token: account, thumbprint of the key, and expiry in seconds since the epoch."""

    account_id: UUID
    jkt: str
    expires: int


class PhoneTokenVerifier:
    """Verifies phone tokens and caches the claims of verified ones.

    A phone sends the same token with each of the ten or twenty requests of a check-in. The cache holds at most
    `capacity` tokens (about half a kilobyte each) and evicts the oldest first.
    """

    def __init__(self, keys: KeyRing, capacity: int = 32_768) -> None:
        self._keys = keys
        self._capacity = capacity
        self._cache: dict[str, PhoneToken] = {}

    def read(self, token: str, at: datetime) -> PhoneToken:
        """The token's claims; raises `PhoneTokenInvalid` or `PhoneTokenExpired`."""
        cached = self._cache.get(token)
        if cached is None:
            cached = self._cache[token] = _parse_phone_token(_read_claims(self._keys, "phone", token, at))
            if len(self._cache) > self._capacity:
                del self._cache[next(iter(self._cache))]
        if not cached.expires > at.timestamp():
            self._cache.pop(token, None)
            raise PhoneTokenExpired
        return cached


def _parse_phone_token(claims: dict[str, Any]) -> PhoneToken:
    confirmation = claims.get("cnf")
    jkt = confirmation.get("jkt") if isinstance(confirmation, dict) else None
    if not isinstance(jkt, str):
        raise PhoneTokenInvalid
    return PhoneToken(UUID(claims["sub"]), jkt, claims["exp"])


def read_session_id(keys: KeyRing, token: str, at: datetime) -> UUID:
    """The session of a staff token; raises `TokenInvalid` or `TokenExpired`."""
    try:
        return UUID(_read_claims(keys, "staff", token, at)["sid"])
    except (KeyError, ValueError, AttributeError, TypeError) as error:
        raise TokenInvalid from error


def _issue(
    keys: KeyRing, audience: Audience, claims: dict[str, Any], at: datetime, life: timedelta
) -> IssuedToken:
    version, key = keys.signer("token")
    issued = int(at.timestamp())
    seconds = int(life.total_seconds())
    body = claims | {"iss": _ISSUER, "aud": audience, "iat": issued, "exp": issued + seconds}
    return IssuedToken(jws.sign({"typ": "JWT", "kid": version}, body, key), seconds)


def _read_claims(keys: KeyRing, audience: Audience, token: str, at: datetime) -> dict[str, Any]:
    invalid, expired = _ERRORS[audience]
    try:
        claims = _verify_signature(keys, token)
    except (jws.JwsMalformed, jws.SignatureWrong, KeyError, ValueError, RecursionError) as error:
        raise invalid from error
    expires = claims.get("exp")
    if (
        claims.get("aud") != audience
        or claims.get("iss") != _ISSUER
        or not isinstance(claims.get("sub"), str)
        or not isinstance(expires, int)
    ):
        raise invalid
    if not expires > at.timestamp():
        raise expired
    return claims


def _verify_signature(keys: KeyRing, token: str) -> dict[str, Any]:
    """The claims of a token that was signed with one of our keys."""
    signed = jws.parse_jws(token)
    signed.verify(keys.signers["token", str(signed.header.get("kid"))].public_key())
    claims: dict[str, Any] = json.loads(signed.payload)
    return claims

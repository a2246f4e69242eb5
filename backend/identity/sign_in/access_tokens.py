"""Short-lived access tokens, ES256: a phone's is bound to its key (`cnf.jkt`), a staff one to its sign-in (`sid`)."""

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
    """A token and its life in seconds."""

    value: str
    expires_in: int


def issue_phone_token(
    keys: KeyRing, account_id: UUID, jkt: str, at: datetime, life: timedelta
) -> IssuedToken:
    """A token that only the holder of the key with thumbprint `jkt` can use."""
    return _issue(keys, "phone", {"sub": str(account_id), "cnf": {"jkt": jkt}}, at, life)


def issue_staff_token(
    keys: KeyRing, account_id: UUID, session_id: UUID, at: datetime, life: timedelta
) -> IssuedToken:
    """A token of one sign-in."""
    return _issue(keys, "staff", {"sub": str(account_id), "sid": str(session_id)}, at, life)


@dataclass(frozen=True, slots=True)
class PhoneToken:
    """What a phone's token says: whose account, which key may use it, and until when (seconds since the epoch)."""

    account_id: UUID
    jkt: str
    expires: int


class PhoneTokens:
    """Reads the tokens of phones. A signature that held once is not checked again while the token lives here.

    A phone sends the same token with each of the ten or twenty requests of a check-in. At most `capacity` are
    remembered (about half a kilobyte each), the oldest leaving first.
    """

    def __init__(self, keys: KeyRing, capacity: int = 32_768) -> None:
        self._keys = keys
        self._capacity = capacity
        self._read: dict[str, PhoneToken] = {}

    def read(self, token: str, at: datetime) -> PhoneToken:
        """The token's content; raises PhoneTokenInvalid or PhoneTokenExpired."""
        known = self._read.get(token)
        if known is None:
            known = self._read[token] = _phone_token(_read(self._keys, "phone", token, at))
            if len(self._read) > self._capacity:
                del self._read[next(iter(self._read))]
        if not known.expires > at.timestamp():
            self._read.pop(token, None)
            raise PhoneTokenExpired
        return known


def _phone_token(claims: dict[str, Any]) -> PhoneToken:
    confirmation = claims.get("cnf")
    jkt = confirmation.get("jkt") if isinstance(confirmation, dict) else None
    if not isinstance(jkt, str):
        raise PhoneTokenInvalid
    return PhoneToken(UUID(claims["sub"]), jkt, claims["exp"])


def sign_in_of(keys: KeyRing, token: str, at: datetime) -> UUID:
    """The sign-in a staff token belongs to; raises TokenInvalid or TokenExpired."""
    try:
        return UUID(_read(keys, "staff", token, at)["sid"])
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


def _read(keys: KeyRing, audience: Audience, token: str, at: datetime) -> dict[str, Any]:
    invalid, expired = _ERRORS[audience]
    try:
        claims = _signed(keys, token)
    except (jws.NotCompact, jws.SignatureWrong, KeyError, ValueError, RecursionError) as error:
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


def _signed(keys: KeyRing, token: str) -> dict[str, Any]:
    """The claims under a signature of ours."""
    taken = jws.take_apart(token)
    taken.verify(keys.signers["token", str(taken.header.get("kid"))].public_key())
    claims: dict[str, Any] = json.loads(taken.payload)
    return claims

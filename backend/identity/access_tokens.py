"""Short-lived access tokens, ES256: a phone's is bound to its key (`cnf.jkt`), a staff one to its sign-in (`sid`)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import jwt

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


def bound_thumbprint(keys: KeyRing, token: str, at: datetime) -> str:
    """The thumbprint a phone's token is bound to; raises PhoneTokenInvalid or PhoneTokenExpired."""
    confirmation = _read(keys, "phone", token, at).get("cnf")
    jkt = confirmation.get("jkt") if isinstance(confirmation, dict) else None
    if not isinstance(jkt, str):
        raise PhoneTokenInvalid
    return jkt


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
    return IssuedToken(jwt.encode(body, key, algorithm="ES256", headers={"kid": version}), seconds)


def _read(keys: KeyRing, audience: Audience, token: str, at: datetime) -> dict[str, Any]:
    invalid, expired = _ERRORS[audience]
    try:
        version = str(jwt.get_unverified_header(token).get("kid"))
        key = keys.signers["token", version].public_key()
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=["ES256"],
            audience=audience,
            issuer=_ISSUER,
            options={"verify_exp": False, "verify_iat": False, "require": ["exp", "sub"]},
        )
    except (jwt.PyJWTError, KeyError) as error:
        raise invalid from error
    if not claims["exp"] > at.timestamp():
        raise expired
    return claims

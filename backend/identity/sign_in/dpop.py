"""DPoP proofs (RFC 9449) and key thumbprints (RFC 7638): pure, the time is an argument.

A proof is accepted only in one spelling: coordinates in canonical base64url, so that one key has one thumbprint.
"""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from backend.core import jws
from backend.identity.errors import ProofInvalid

MAX_BYTES = 4096
KEYS_KNOWN = 8192
"""Keys that a process has at hand: a phone asks for its challenge, sends its envelope and then its frames within a minute.
Nineteen megabytes; whoever makes up new keys only makes others' be read again."""
_MAX_JTI = 128
_COORDINATE_BYTES = 32
_KEY_MEMBERS = {"kty", "crv", "x", "y"}
_IDLE_MEMBERS = {"alg", "use", "key_ops", "ext", "kid"}
"""What WebCrypto adds on export; it changes nothing and is not stored."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof whose signature holds: by which key, and its number, which takes effect once."""

    jkt: str
    jti: str
    jwk: dict[str, str]
    key: ec.EllipticCurvePublicKey = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ProvenRequest:
    """What a proof must speak of: this method and address and, once there is one, this access token."""

    method: str
    url: str
    at: datetime
    max_age: timedelta
    access_token: str | None = None


def base64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515)."""
    return jws.encoded(data).decode()


def public_jwk(candidate: Any) -> dict[str, str]:
    """The four members of a P-256 public key in canonical spelling; raises ProofInvalid."""
    x, y = _point(candidate)
    _coordinate(x)
    _coordinate(y)
    return _jwk(x, y)


def _jwk(x: str, y: str) -> dict[str, str]:
    return {"crv": "P-256", "kty": "EC", "x": x, "y": y}


def _point(candidate: Any) -> tuple[str, str]:
    """The coordinates of what has the form of a P-256 public key, as they are spelt."""
    if not isinstance(candidate, dict) or not set(candidate) <= _KEY_MEMBERS | _IDLE_MEMBERS:
        raise ProofInvalid(reason="jwk")
    if candidate.get("kty") != "EC" or candidate.get("crv") != "P-256":
        raise ProofInvalid(reason="jwk")
    x, y = candidate.get("x"), candidate.get("y")
    if not isinstance(x, str) or not isinstance(y, str):
        raise ProofInvalid(reason="jwk")
    return x, y


def _coordinate(text: str) -> bytes:
    if not text.isascii():
        raise ProofInvalid(reason="jwk")
    try:
        value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise ProofInvalid(reason="jwk") from error
    if len(value) != _COORDINATE_BYTES or base64url(value) != text:
        raise ProofInvalid(reason="jwk")
    return value


def thumbprint(jwk: dict[str, str]) -> str:
    """RFC 7638: SHA-256 of the required members in order. A canonical coordinate needs no escaping."""
    canonical = f'{{"crv":"{jwk["crv"]}","kty":"{jwk["kty"]}","x":"{jwk["x"]}","y":"{jwk["y"]}"}}'
    return base64url(hashlib.sha256(canonical.encode()).digest())


def public_key(jwk: dict[str, str]) -> ec.EllipticCurvePublicKey:
    """The key of a canonical JWK; raises ProofInvalid for a point that is not on the curve."""
    try:
        return jws.public_key(_coordinate(jwk["x"]), _coordinate(jwk["y"]))
    except ValueError as error:
        raise ProofInvalid(reason="jwk") from error


def check_proof(token: str, request: ProvenRequest) -> Proof:
    """The proof, if it is one of this request (RFC 9449, 4.3, checks 1 to 12); raises ProofInvalid."""
    if not token or len(token) > MAX_BYTES:
        raise ProofInvalid(reason="missing")
    try:
        proof = jws.take_apart(token)
    except jws.NotCompact as error:
        raise ProofInvalid(reason="form") from error
    if proof.header.get("typ") != "dpop+jwt":
        raise ProofInvalid(reason="typ")
    x, y = _point(proof.header.get("jwk"))
    key, jkt = _known(x, y)
    try:
        proof.verify(key)
    except jws.SignatureWrong as error:
        raise ProofInvalid(reason="signature") from error
    try:
        claims = json.loads(proof.payload)
    except (ValueError, RecursionError) as error:
        raise ProofInvalid(reason="form") from error
    if not isinstance(claims, dict):
        raise ProofInvalid(reason="form")
    _check_claims(claims, request)
    return Proof(jkt, claims["jti"], _jwk(x, y), key)


@lru_cache(maxsize=KEYS_KNOWN)
def _known(x: str, y: str) -> tuple[ec.EllipticCurvePublicKey, str]:
    """The key and its thumbprint; coordinates in another spelling, or off the curve, raise ProofInvalid each time."""
    jwk = _jwk(x, y)
    return public_key(jwk), thumbprint(jwk)


def _check_claims(claims: dict[str, Any], request: ProvenRequest) -> None:
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI or not jti.isprintable():
        raise ProofInvalid(reason="jti")
    if claims.get("htm") != request.method:
        raise ProofInvalid(reason="htm")
    if not _same_address(claims.get("htu"), request.url):
        raise ProofInvalid(reason="htu")
    issued = claims.get("iat")
    if isinstance(issued, bool) or not isinstance(issued, int | float):
        raise ProofInvalid(reason="iat")
    at, span = request.at.timestamp(), request.max_age.total_seconds()
    if not at - span <= issued <= at + span:  # compared, never subtracted: a claim may be beyond any float
        raise ProofInvalid(reason="iat")
    if request.access_token is not None:
        digest = hashlib.sha256(request.access_token.encode()).digest()
        if claims.get("ath") != base64url(digest):
            raise ProofInvalid(reason="ath")


def _same_address(claimed: Any, url: str) -> bool:
    """Scheme, host and path alike; query and fragment are left out (RFC 9449, 4.2)."""
    if not isinstance(claimed, str):
        return False
    if claimed == url:  # as phones write it
        return True
    try:
        one, other = urlsplit(claimed), urlsplit(url)
    except ValueError:
        return False
    return (one.scheme, one.netloc.lower(), one.path) == (other.scheme, other.netloc.lower(), other.path)

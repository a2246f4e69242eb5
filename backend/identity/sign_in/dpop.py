"""DPoP proofs (RFC 9449) and key thumbprints (RFC 7638). Pure: the time is an argument.

The coordinates of a key must be in canonical base64url, so that one key has exactly one thumbprint.

A proof is a JWS of its own (`check_proof`), or a signed document of the request that names its key and has the claims of
a proof (`read_signer`): then one signature proves both.
"""

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from backend.core import jws
from backend.identity.errors import (
    ProofClockWrong,
    ProofInvalid,
    ProofSignatureWrong,
    ProofTokenWrong,
    ProofUrlWrong,
)

MAX_BYTES = 4096
KEY_CACHE_SIZE = 8192
"""Parsed keys that a process caches (about 19 MB): a phone sends several requests within a minute.
An attacker who invents keys only causes other keys to be parsed again."""
_MAX_JTI = 128
_COORDINATE_BYTES = 32
_KEY_MEMBERS = {"kty", "crv", "x", "y"}
_IGNORED_MEMBERS = {"alg", "use", "key_ops", "ext", "kid"}
"""Members that WebCrypto adds on export. They are ignored and not stored."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof with a valid signature: its key, and its `jti`, which is accepted once."""

    jkt: str
    jti: str
    jwk: dict[str, str]
    key: ec.EllipticCurvePublicKey = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Signer:
    """The key that the header of a signed document names."""

    jkt: str
    jwk: dict[str, str]
    key: ec.EllipticCurvePublicKey = field(compare=False, repr=False)

    def verify(self, document: jws.Jws) -> None:
        """Raise `ProofSignatureWrong` unless this key signed the document."""
        try:
            document.verify(self.key)
        except jws.SignatureWrong as error:
            raise ProofSignatureWrong from error

    def prove(self, claims: Mapping[str, Any], request: "ExpectedRequest") -> Proof:
        """The proof in a verified document; raises `ProofInvalid` unless its claims are for this request."""
        _check_claims(claims, request)
        return Proof(self.jkt, claims["jti"], self.jwk, self.key)


@dataclass(frozen=True, slots=True)
class ExpectedRequest:
    """The request that a proof must be for: method, URL, time and, if there is one, access token.

    `other_urls` are further addresses of the same endpoint (`localhost` for 127.0.0.1 in development).
    """

    method: str
    url: str
    at: datetime
    max_age: timedelta
    access_token: str | None = None
    other_urls: tuple[str, ...] = ()


def base64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515)."""
    return jws.encode_base64url(data).decode()


def public_jwk(candidate: Any) -> dict[str, str]:
    """The four members of a P-256 public key in canonical form; raises `ProofInvalid`."""
    x, y = _read_coordinates(candidate)
    _decode_coordinate(x)
    _decode_coordinate(y)
    return _build_jwk(x, y)


def _build_jwk(x: str, y: str) -> dict[str, str]:
    return {"crv": "P-256", "kty": "EC", "x": x, "y": y}


def _read_coordinates(candidate: Any) -> tuple[str, str]:
    """The coordinates of a P-256 public key as text; raises `ProofInvalid` for anything else."""
    if not isinstance(candidate, dict) or not set(candidate) <= _KEY_MEMBERS | _IGNORED_MEMBERS:
        raise ProofInvalid(reason="jwk")
    if candidate.get("kty") != "EC" or candidate.get("crv") != "P-256":
        raise ProofInvalid(reason="jwk")
    x, y = candidate.get("x"), candidate.get("y")
    if not isinstance(x, str) or not isinstance(y, str):
        raise ProofInvalid(reason="jwk")
    return x, y


def _decode_coordinate(text: str) -> bytes:
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
    """RFC 7638: SHA-256 of the required members in order. Canonical coordinates need no JSON escaping."""
    canonical = f'{{"crv":"{jwk["crv"]}","kty":"{jwk["kty"]}","x":"{jwk["x"]}","y":"{jwk["y"]}"}}'
    return base64url(hashlib.sha256(canonical.encode()).digest())


def public_key(jwk: dict[str, str]) -> ec.EllipticCurvePublicKey:
    """The key of a canonical JWK; raises `ProofInvalid` for a point that is not on the curve."""
    try:
        return jws.p256_public_key(_decode_coordinate(jwk["x"]), _decode_coordinate(jwk["y"]))
    except ValueError as error:
        raise ProofInvalid(reason="jwk") from error


def check_proof(token: str, request: ExpectedRequest) -> Proof:
    """Verify a proof for this request (RFC 9449, 4.3, checks 1 to 12); raises `ProofInvalid`."""
    if not token or len(token) > MAX_BYTES:
        raise ProofInvalid(reason="missing")
    try:
        proof = jws.parse_jws(token)
    except jws.JwsMalformed as error:
        raise ProofInvalid(reason="form") from error
    if proof.header.get("typ") != "dpop+jwt":
        raise ProofInvalid(reason="typ")
    signer = read_signer(proof)
    signer.verify(proof)
    try:
        claims = json.loads(proof.payload)
    except (ValueError, RecursionError) as error:
        raise ProofInvalid(reason="form") from error
    if not isinstance(claims, dict):
        raise ProofInvalid(reason="form")
    return signer.prove(claims, request)


def read_signer(document: jws.Jws) -> Signer:
    """The key in the document's header; raises `ProofInvalid` unless it is a P-256 key in canonical form."""
    x, y = _read_coordinates(document.header.get("jwk"))
    key, jkt = _load_key(x, y)
    return Signer(jkt, _build_jwk(x, y), key)


@lru_cache(maxsize=KEY_CACHE_SIZE)
def _load_key(x: str, y: str) -> tuple[ec.EllipticCurvePublicKey, str]:
    """The key and its thumbprint; raises `ProofInvalid` for non-canonical coordinates or a point off the curve."""
    jwk = _build_jwk(x, y)
    return public_key(jwk), thumbprint(jwk)


def _check_claims(claims: Mapping[str, Any], request: ExpectedRequest) -> None:
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI or not jti.isprintable():
        raise ProofInvalid(reason="jti")
    if claims.get("htm") != request.method:
        raise ProofInvalid(reason="htm")
    if not any(_is_same_uri(claims.get("htu"), url) for url in (request.url, *request.other_urls)):
        raise ProofUrlWrong(expected=request.url)
    _check_issue_time(claims.get("iat"), request)
    if request.access_token is not None:
        digest = hashlib.sha256(request.access_token.encode()).digest()
        if claims.get("ath") != base64url(digest):
            raise ProofTokenWrong


def _check_issue_time(issued: Any, request: ExpectedRequest) -> None:
    if isinstance(issued, bool) or not isinstance(issued, int | float):
        raise ProofInvalid(reason="iat")
    if isinstance(issued, float) and math.isnan(issued):
        raise ProofInvalid(reason="iat")
    at, span = request.at.timestamp(), request.max_age.total_seconds()
    # Compared without subtracting: a claim can exceed the range of floats.
    if not at - span <= issued <= at + span:
        raise ProofClockWrong(
            server_time=request.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            seconds=round(span),
        )


def _is_same_uri(claimed: Any, url: str) -> bool:
    """Whether scheme, host and path are equal; query and fragment are ignored (RFC 9449, 4.2)."""
    if not isinstance(claimed, str):
        return False
    if claimed == url:  # the usual form
        return True
    try:
        one, other = urlsplit(claimed), urlsplit(url)
    except ValueError:
        return False
    return (one.scheme, one.netloc.lower(), one.path) == (other.scheme, other.netloc.lower(), other.path)

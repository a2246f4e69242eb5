"""Compact JWS with ES256 (RFC 7515, RFC 7518 section 3.4) and nothing else, as every request of a phone carries it.

PyJWT parses a header twice and rebuilds the key at each call, which takes longer than verifying the signature; the
tests compare this module with it. Strict on purpose: unpadded base64url only, no critical extensions, no other algorithm.
"""

import binascii
import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

ALGORITHM = "ES256"
_ECDSA = ec.ECDSA(hashes.SHA256())
_CURVE = ec.SECP256R1()
_COORDINATE = 32
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


class JwsMalformed(ValueError):
    """The text is not a compact JWS with ES256."""


class SignatureWrong(Exception):
    """The signature was not made by this key."""


@dataclass(frozen=True, slots=True)
class Jws:
    """A parsed JWS. Do not trust its content before `verify`."""

    header: dict[str, Any]
    payload: bytes
    signed: bytes
    signature: bytes

    def verify(self, key: ec.EllipticCurvePublicKey) -> None:
        """Raise `SignatureWrong` unless `key` signed header and payload."""
        if len(self.signature) != 2 * _COORDINATE:
            raise SignatureWrong
        r, s = (int.from_bytes(half) for half in (self.signature[:_COORDINATE], self.signature[_COORDINATE:]))
        try:
            key.verify(utils.encode_dss_signature(r, s), self.signed, _ECDSA)
        except InvalidSignature as error:
            raise SignatureWrong from error


def parse_jws(compact: str) -> Jws:
    """Parse a compact JWS without verifying it. Raises `JwsMalformed`."""
    try:
        signed, _, tail = compact.encode("ascii").rpartition(b".")
        head, _, body = signed.partition(b".")
        header = json.loads(_decode_base64url(head))
        payload, signature = _decode_base64url(body), _decode_base64url(tail)
    except (ValueError, RecursionError) as error:
        raise JwsMalformed from error
    if (
        not isinstance(header, dict)
        or header.get("alg") != ALGORITHM
        or not {"crit", "b64"}.isdisjoint(header)
    ):
        raise JwsMalformed
    return Jws(header, payload, signed, signature)


def sign(header: Mapping[str, Any], claims: Mapping[str, Any], key: ec.EllipticCurvePrivateKey) -> str:
    """Sign the claims, as JSON, and return the compact JWS."""
    parts = (_as_json({"alg": ALGORITHM, **header}), _as_json(claims))
    signed = b".".join(encode_base64url(part) for part in parts)
    r, s = utils.decode_dss_signature(key.sign(signed, _ECDSA))
    signature = r.to_bytes(_COORDINATE) + s.to_bytes(_COORDINATE)
    return (signed + b"." + encode_base64url(signature)).decode("ascii")


def signed_digest(compact: str) -> bytes:
    """SHA-256 of the signing input: equal for two signatures of the same content."""
    return hashlib.sha256(compact.rpartition(".")[0].encode("ascii", "replace")).digest()


def p256_public_key(x: bytes, y: bytes) -> ec.EllipticCurvePublicKey:
    """The P-256 public key with these coordinates. Raises ValueError if the point is not on the curve."""
    return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, b"\x04" + x + y)


def encode_base64url(data: bytes) -> bytes:
    """Encode as base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=")


def _decode_base64url(part: bytes) -> bytes:
    if not part or b"+" in part or b"/" in part or b"=" in part:
        raise JwsMalformed
    padded = part.translate(_TO_STANDARD) + b"=" * (-len(part) % 4)
    return binascii.a2b_base64(padded, strict_mode=True)


_dump_compact_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _as_json(document: Mapping[str, Any]) -> bytes:
    return _dump_compact_json(document).encode()

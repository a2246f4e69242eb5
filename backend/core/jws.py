"""Compact JWS with ES256 (RFC 7515, RFC 7518 3.4), and nothing else: what every request of a phone carries.

A general library reads a header twice and rebuilds the key at each call, which costs more than the signature's check.
Only the alphabet without padding is read, no critical extension is understood, and the algorithm is never negotiable.
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


class NotCompact(ValueError):
    """The text is no compact JWS with ES256."""


class SignatureWrong(Exception):
    """The key did not sign this."""


@dataclass(frozen=True, slots=True)
class Jws:
    """One that was taken apart; nothing in it is true before `verify`."""

    header: dict[str, Any]
    payload: bytes
    signed: bytes
    signature: bytes

    def verify(self, key: ec.EllipticCurvePublicKey) -> None:
        """Raise SignatureWrong unless `key` signed header and payload."""
        if len(self.signature) != 2 * _COORDINATE:
            raise SignatureWrong
        r, s = (int.from_bytes(half) for half in (self.signature[:_COORDINATE], self.signature[_COORDINATE:]))
        try:
            key.verify(utils.encode_dss_signature(r, s), self.signed, _ECDSA)
        except InvalidSignature as error:
            raise SignatureWrong from error


def take_apart(compact: str) -> Jws:
    """Header, payload and signature; raises NotCompact."""
    try:
        signed, _, tail = compact.encode("ascii").rpartition(b".")
        head, _, body = signed.partition(b".")
        header = json.loads(_decoded(head))
        payload, signature = _decoded(body), _decoded(tail)
    except (ValueError, RecursionError) as error:
        raise NotCompact from error
    if (
        not isinstance(header, dict)
        or header.get("alg") != ALGORITHM
        or not {"crit", "b64"}.isdisjoint(header)
    ):
        raise NotCompact
    return Jws(header, payload, signed, signature)


def sign(header: Mapping[str, Any], claims: Mapping[str, Any], key: ec.EllipticCurvePrivateKey) -> str:
    """A compact JWS over the claims as JSON."""
    parts = (_json({"alg": ALGORITHM, **header}), _json(claims))
    signed = b".".join(encoded(part) for part in parts)
    r, s = utils.decode_dss_signature(key.sign(signed, _ECDSA))
    signature = r.to_bytes(_COORDINATE) + s.to_bytes(_COORDINATE)
    return (signed + b"." + encoded(signature)).decode("ascii")


def signed_digest(compact: str) -> bytes:
    """SHA-256 of the signing input of a compact JWS: the same when the same content is signed again."""
    return hashlib.sha256(compact.rpartition(".")[0].encode("ascii", "replace")).digest()


def public_key(x: bytes, y: bytes) -> ec.EllipticCurvePublicKey:
    """The P-256 key at a point; raises ValueError for one that is not on the curve."""
    return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, b"\x04" + x + y)


def encoded(data: bytes) -> bytes:
    """Base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=")


def _decoded(part: bytes) -> bytes:
    if not part or b"+" in part or b"/" in part or b"=" in part:
        raise NotCompact
    padded = part.translate(_TO_STANDARD) + b"=" * (-len(part) % 4)
    return binascii.a2b_base64(padded, strict_mode=True)


_compactly = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _json(document: Mapping[str, Any]) -> bytes:
    return _compactly(document).encode()

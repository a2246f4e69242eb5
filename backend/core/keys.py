"""The deployment's keys: one JSON file (mode 0600), named purposes, versions kept for reading old data.

Purposes: `identifier` (AES-256-GCM of ID and student numbers), `blind-index` (HMAC-SHA-256 look-up of them),
`template-root` (wraps the data keys of face templates), `attachment` and `health` (AES-256-GCM of uploaded files, and of
what people write about their health), `token` and `receipt` (ES256 signatures).
"""

import base64
import hashlib
import hmac
import json
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

SYMMETRIC = ("identifier", "blind-index", "template-root", "attachment", "health")
SIGNING = ("token", "receipt")
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys by purpose and version; `current` names the version that new data uses."""

    current: dict[str, str]
    secrets: dict[tuple[str, str], bytes]
    signers: dict[tuple[str, str], ec.EllipticCurvePrivateKey]

    @classmethod
    def load(cls, path: Path) -> "KeyRing":
        """Read the key file; raises FileNotFoundError or KeyError for a missing purpose."""
        return cls.parse(json.loads(path.read_text()))

    @classmethod
    def parse(cls, document: dict[str, dict[str, str]]) -> "KeyRing":
        """Keys from `{purpose: {"current": version, version: base64 or PEM}}`."""
        current = {purpose: document[purpose]["current"] for purpose in SYMMETRIC + SIGNING}
        secrets: dict[tuple[str, str], bytes] = {}
        signers: dict[tuple[str, str], ec.EllipticCurvePrivateKey] = {}
        for purpose, versions in document.items():
            for version, material in versions.items():
                if version == "current":
                    continue
                if purpose in SIGNING:
                    key = load_pem_private_key(material.encode(), None)
                    assert isinstance(key, ec.EllipticCurvePrivateKey)
                    signers[purpose, version] = key
                else:
                    secrets[purpose, version] = base64.b64decode(material)
        return cls(current, secrets, signers)

    def secret(self, purpose: str) -> bytes:
        """The current 32 bytes of a symmetric purpose."""
        return self.secrets[purpose, self.current[purpose]]

    def signer(self, purpose: str) -> tuple[str, ec.EllipticCurvePrivateKey]:
        """The current signing key and its version (the `kid`)."""
        version = self.current[purpose]
        return version, self.signers[purpose, version]

    def encrypt(self, purpose: str, plain: bytes, context: bytes) -> bytes:
        """Authenticated encryption bound to `context`; the version travels in front of the nonce."""
        version = self.current[purpose]
        nonce = os.urandom(_NONCE_BYTES)
        head = version.encode() + b"\0"
        return head + nonce + AESGCM(self.secrets[purpose, version]).encrypt(nonce, plain, head + context)

    def decrypt(self, purpose: str, sealed: bytes, context: bytes) -> bytes:
        """Undo `encrypt`; raises cryptography's InvalidTag if anything, the context too, was altered."""
        head, _, rest = sealed.partition(b"\0")
        key = self.secrets[purpose, head.decode()]
        return AESGCM(key).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], head + b"\0" + context)

    def blind_index(self, value: str) -> bytes:
        """Keyed look-up value of an identifier (upper-cased), useless without the key."""
        return hmac.new(self.secret("blind-index"), value.strip().upper().encode(), hashlib.sha256).digest()


def create_key_file(path: Path) -> None:
    """Write a fresh key file, readable by its owner only; refuses to replace one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, {purpose: _fresh(purpose) for purpose in SYMMETRIC + SIGNING})


def missing_purposes(path: Path) -> tuple[str, ...]:
    """Purposes of this version that an older key file does not have yet."""
    present = json.loads(path.read_text())
    return tuple(purpose for purpose in SYMMETRIC + SIGNING if purpose not in present)


def complete_key_file(path: Path) -> tuple[str, ...]:
    """Add a key for each missing purpose, leaving every other as it is; which were added."""
    added = missing_purposes(path)
    if added:
        fresh = path.with_name(f".{path.name}.new")
        fresh.unlink(missing_ok=True)
        _write(fresh, json.loads(path.read_text()) | {purpose: _fresh(purpose) for purpose in added})
        fresh.replace(path)
    return added


def _fresh(purpose: str) -> dict[str, str]:
    if purpose in SYMMETRIC:
        return {"current": "1", "1": base64.b64encode(os.urandom(32)).decode()}
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {"current": "1", "1": pem.decode()}


def _write(path: Path, document: dict[str, dict[str, str]]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(document, file, indent=2)

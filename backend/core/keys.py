"""Keys of the deployment: one JSON file (mode 0600) with keys by purpose. Old versions are kept to read old data.

Purposes: `identifier` (AES-256-GCM for ID and student numbers), `blind-index` (HMAC-SHA-256 to look them up),
`template-root` (wraps the schools' keys, which wrap the students' keys of face templates and of pictures), `attachment` and `health`
(AES-256-GCM for uploaded files and for text about health), `response` (AES-256-GCM for recorded responses), `token` and `receipt` (ES256 signatures).
"""

import base64
import fcntl
import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from backend.core.match_keys import id_key

SYMMETRIC = ("identifier", "blind-index", "template-root", "attachment", "health", "response")
SIGNING = ("token", "receipt")
_NONCE_BYTES = 12

Document = dict[str, dict[str, str]]
"""`{purpose: {"current": version, version: base64 or PEM}}`."""

TemplateCipher = Literal["aes-256-gcm", "sm4-gcm"]


class VersionInUse(Exception):
    """The current version of a key cannot be removed."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys by purpose and version. `current` is the version used for new data."""

    current: dict[str, str]
    secrets: dict[tuple[str, str], bytes]
    signers: dict[tuple[str, str], ec.EllipticCurvePrivateKey]
    template_cipher: TemplateCipher = "aes-256-gcm"
    """The cipher for new face templates. Each stored template names its own."""
    path: Path | None = None
    """The file that the keys were read from."""

    @classmethod
    def load(cls, path: Path, template_cipher: TemplateCipher = "aes-256-gcm") -> "KeyRing":
        """Read the key file. Raises FileNotFoundError, or KeyError if a purpose is missing."""
        return replace(cls.parse(json.loads(path.read_text())), template_cipher=template_cipher, path=path)

    @classmethod
    def parse(cls, document: Document) -> "KeyRing":
        """Parse the content of a key file. Raises KeyError if a purpose is missing."""
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

    def refresh(self) -> None:
        """Read the file again to find new versions, so that a running process takes part in a key rotation."""
        if self.path is not None:
            reloaded = KeyRing.load(self.path)
            self.current.update(reloaded.current)
            self.secrets.update(reloaded.secrets)
            self.signers.update(reloaded.signers)

    def version(self, purpose: str, version: str) -> bytes:
        """The 32 bytes of one version. Reads the file again if it is unknown, then raises KeyError."""
        if (purpose, version) not in self.secrets:
            self.refresh()
        return self.secrets[purpose, version]

    def secret(self, purpose: str) -> bytes:
        """The current 32 bytes of a symmetric key."""
        return self.secrets[purpose, self.current[purpose]]

    def signer(self, purpose: str) -> tuple[str, ec.EllipticCurvePrivateKey]:
        """The current signing key and its version, which is the `kid`."""
        version = self.current[purpose]
        return version, self.signers[purpose, version]

    def encrypt(self, purpose: str, plain: bytes, context: bytes) -> bytes:
        """Encrypt with authentication, bound to `context`. The version is stored before the nonce."""
        version = self.current[purpose]
        nonce = os.urandom(_NONCE_BYTES)
        head = version.encode() + b"\0"
        return head + nonce + AESGCM(self.secrets[purpose, version]).encrypt(nonce, plain, head + context)

    def decrypt(self, purpose: str, sealed: bytes, context: bytes) -> bytes:
        """Decrypt. Raises cryptography's InvalidTag if the data or the context was altered."""
        head, _, rest = sealed.partition(b"\0")
        key = self.secrets[purpose, head.decode()]
        return AESGCM(key).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], head + b"\0" + context)

    def blind_index(self, value: str) -> bytes:
        """Keyed hash for looking up the number of a document by its `id_key`. It reveals nothing without the key."""
        return self.keyed_hash(id_key(value))

    def keyed_hash(self, value: str) -> bytes:
        """Keyed hash of exactly this text, such as an address, a login name or a code."""
        return hmac.new(self.secret("blind-index"), value.encode(), hashlib.sha256).digest()


def create_key_file(path: Path) -> None:
    """Write a new key file, readable by its owner only. Raises FileExistsError if there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_private_file(path, {purpose: _generate_key(purpose) for purpose in SYMMETRIC + SIGNING})


def missing_purposes(path: Path) -> tuple[str, ...]:
    """Purposes that an older key file does not have yet."""
    present = json.loads(path.read_text())
    return tuple(purpose for purpose in SYMMETRIC + SIGNING if purpose not in present)


def complete_key_file(path: Path) -> tuple[str, ...]:
    """Add a key for each missing purpose and return these purposes. Existing keys stay unchanged."""
    with _edit_key_file(path) as document:
        added = tuple(purpose for purpose in SYMMETRIC + SIGNING if purpose not in document)
        document.update({purpose: _generate_key(purpose) for purpose in added})
    return added


def add_version(path: Path, purpose: str) -> str:
    """Add a key version, make it the current one, and return its name. Older versions can still decrypt."""
    with _edit_key_file(path) as document:
        versions = document[purpose]
        name = str(1 + max(int(version) for version in versions if version.isdecimal()))
        versions |= {"current": name, name: _generate_key(purpose)["1"]}
    return name


def remove_version(path: Path, purpose: str, version: str) -> None:
    """Remove an older version permanently. Raises KeyError if unknown, `VersionInUse` if it is the current one."""
    with _edit_key_file(path) as document:
        if version in {document[purpose]["current"], "current"}:
            raise VersionInUse
        del document[purpose][version]


@contextmanager
def _edit_key_file(path: Path) -> Iterator[Document]:
    """Yield the file's content for changes in place, then replace the file atomically. An error leaves it unchanged.

    A lock on the directory admits one change at a time. The file is synced to disk before the new key is used:
    data encrypted under a key that a power failure loses would be lost too.
    """
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        content = path.read_text()
        document: Document = json.loads(content)
        yield document
        if document == json.loads(content):
            return
        replacement = path.with_name(f".{path.name}.new")
        replacement.unlink(missing_ok=True)
        _write_private_file(replacement, document)
        replacement.replace(path)
        os.fsync(directory)
    finally:
        os.close(directory)


def _generate_key(purpose: str) -> dict[str, str]:
    if purpose in SYMMETRIC:
        return {"current": "1", "1": base64.b64encode(os.urandom(32)).decode()}
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {"current": "1", "1": pem.decode()}


def _write_private_file(path: Path, document: Document) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(document, file, indent=2)
        file.flush()
        os.fsync(file.fileno())

"""What is kept of a face at rest: sealed under keys in three layers, so that one of them can be shredded.

The root key of the deployment wraps a key for each school, the school's key wraps a data key for each student,
and the data key seals what is kept of the student's face. Only wrapped keys are stored. Deleting a student's
wrapped data key shreds the student: the sealed bytes stay noise whoever holds every other key. A new root key
wraps the schools' keys again and touches nothing below them.

The associated data bind each record to student, engine, version and purpose, so that a row copied to another
student, or read for another purpose, does not open. Every key has 256 bits; the cipher's own key is derived from
it (RFC 5869, expansion only, since the keys are random), and the cipher is named in front of what it sealed.
"""

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher
from cryptography.hazmat.primitives.ciphers import CipherAlgorithm, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from biometrics.engines.base import EngineKey
from biometrics.errors import BiometricsError

_KEY_BYTES, _NONCE_BYTES, _TAG_BYTES = 32, 12, 16
_RECORD, _SCHOOL_KEY, _DATA_KEY = b"DMT1", b"DMS1", b"DMK1"
_MAGIC_BYTES = 4


class TemplateUnreadable(BiometricsError):
    """Wrong key, wrong student, wrong engine, wrong purpose, or altered bytes: which one is not told."""

    code = "face_template_unreadable"
    status = 500
    zh = "人脸模板无法读取。请重新采集人脸；如反复出现，请联系管理员。"
    en = "The face template cannot be read. Enrol the face again; if it recurs, tell the administrator."


class Cipher(StrEnum):
    """What seals: AES as NIST SP 800-38D has it, or SM4 (GB/T 32907) in the same mode (RFC 8998)."""

    AES_256_GCM = "aes-256-gcm"
    SM4_GCM = "sm4-gcm"


@dataclass(frozen=True, slots=True)
class _Suite:
    code: int
    algorithm: Callable[[bytes], CipherAlgorithm]
    key_bytes: int
    digest: Callable[[], hashes.HashAlgorithm]
    """The hash of the key derivation, of the same family of standards."""


_SUITES = {
    Cipher.AES_256_GCM: _Suite(1, algorithms.AES, 32, hashes.SHA256),
    Cipher.SM4_GCM: _Suite(2, algorithms.SM4, 16, hashes.SM3),
}
_BY_CODE = {suite.code: cipher for cipher, suite in _SUITES.items()}


@dataclass(frozen=True, slots=True)
class KeyEncryptionKey:
    """A 256-bit key with a name: the root by its version, or a school's by the school's id. The secret stays here."""

    id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != _KEY_BYTES:
            raise ValueError(f"a key-encryption key has {_KEY_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class DataKey:
    """A student's data key, opened."""

    student_id: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A key as stored, with the name of what wraps it. Deleting every copy shreds what lies below it."""

    kek_id: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Binding:
    """What a sealed record is for; all of it is authenticated, none of it is secret."""

    student_id: str
    engine: EngineKey
    purpose: str


# --- keys ---


def new_school_key(school_id: str, root: KeyEncryptionKey, cipher: Cipher) -> WrappedKey:
    """A fresh random key for a school, already wrapped."""
    return _wrap(_SCHOOL_KEY, os.urandom(_KEY_BYTES), school_id, root, cipher)


def open_school_key(wrapped: WrappedKey, school_id: str, root: KeyEncryptionKey) -> KeyEncryptionKey:
    """The school's key, to open or wrap the keys of its students; raises TemplateUnreadable."""
    return KeyEncryptionKey(school_id, _unwrap(_SCHOOL_KEY, wrapped, school_id, root))


def rewrap_school_key(
    wrapped: WrappedKey, school_id: str, old: KeyEncryptionKey, new: KeyEncryptionKey, cipher: Cipher
) -> WrappedKey:
    """The same school key under another root; everything below it stays as it is. Raises TemplateUnreadable."""
    return _wrap(_SCHOOL_KEY, _unwrap(_SCHOOL_KEY, wrapped, school_id, old), school_id, new, cipher)


def new_data_key(student_id: str, school: KeyEncryptionKey, cipher: Cipher) -> WrappedKey:
    """A fresh random data key for a student, already wrapped."""
    return _wrap(_DATA_KEY, os.urandom(_KEY_BYTES), student_id, school, cipher)


def open_data_key(wrapped: WrappedKey, student_id: str, school: KeyEncryptionKey) -> DataKey:
    """The student's data key; raises TemplateUnreadable."""
    return DataKey(student_id, _unwrap(_DATA_KEY, wrapped, student_id, school))


def _wrap(magic: bytes, secret: bytes, holder: str, kek: KeyEncryptionKey, cipher: Cipher) -> WrappedKey:
    return WrappedKey(kek.id, _seal(magic, cipher, kek.secret, secret, (kek.id, holder)))


def _unwrap(magic: bytes, wrapped: WrappedKey, holder: str, kek: KeyEncryptionKey) -> bytes:
    if wrapped.kek_id != kek.id:
        raise TemplateUnreadable
    secret = _open(magic, kek.secret, wrapped.sealed, (kek.id, holder))
    if len(secret) != _KEY_BYTES:
        raise TemplateUnreadable
    return secret


# --- records ---


def seal_record(plain: bytes, binding: Binding, key: DataKey, cipher: Cipher) -> bytes:
    """Sealed bytes of a record of the key's own student; raises TemplateUnreadable for another's."""
    return _seal(_RECORD, cipher, key.secret, plain, _bound(binding, key))


def open_record(sealed: bytes, binding: Binding, key: DataKey) -> bytes:
    """The record; raises TemplateUnreadable unless every byte and every part of the binding is right."""
    return _open(_RECORD, key.secret, sealed, _bound(binding, key))


def _bound(binding: Binding, key: DataKey) -> tuple[str, ...]:
    if binding.student_id != key.student_id:
        raise TemplateUnreadable
    return binding.student_id, binding.engine.id, binding.engine.version, binding.purpose


# --- bytes ---


def encrypt(cipher: Cipher, key: bytes, nonce: bytes, plain: bytes, associated: bytes) -> bytes:
    """Ciphertext with the tag of 16 bytes behind it."""
    gcm = BlockCipher(_SUITES[cipher].algorithm(key), modes.GCM(nonce)).encryptor()
    gcm.authenticate_additional_data(associated)
    return gcm.update(plain) + gcm.finalize() + gcm.tag


def decrypt(cipher: Cipher, key: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
    """The inverse; raises cryptography's InvalidTag, or ValueError for what is too short."""
    mode = modes.GCM(nonce, sealed[-_TAG_BYTES:])
    gcm = BlockCipher(_SUITES[cipher].algorithm(key), mode).decryptor()
    gcm.authenticate_additional_data(associated)
    return gcm.update(sealed[:-_TAG_BYTES]) + gcm.finalize()


def _seal(magic: bytes, cipher: Cipher, secret: bytes, plain: bytes, parts: tuple[str, ...]) -> bytes:
    head = magic + bytes([_SUITES[cipher].code])
    nonce = os.urandom(_NONCE_BYTES)
    return head + nonce + encrypt(cipher, _derived(secret, cipher, head), nonce, plain, _joined(head, parts))


def _open(magic: bytes, secret: bytes, sealed: bytes, parts: tuple[str, ...]) -> bytes:
    head, body = sealed[: _MAGIC_BYTES + 1], sealed[_MAGIC_BYTES + 1 :]
    cipher = _BY_CODE.get(head[-1]) if len(head) == _MAGIC_BYTES + 1 else None
    if cipher is None or not head.startswith(magic):
        raise TemplateUnreadable
    nonce, body = body[:_NONCE_BYTES], body[_NONCE_BYTES:]
    try:
        return decrypt(cipher, _derived(secret, cipher, head), nonce, body, _joined(head, parts))
    except (InvalidTag, ValueError) as error:
        raise TemplateUnreadable from error


def _derived(secret: bytes, cipher: Cipher, head: bytes) -> bytes:
    """The cipher's own key: another for each cipher and each layer, of the length that the cipher has."""
    suite = _SUITES[cipher]
    return HKDFExpand(suite.digest(), suite.key_bytes, b"dianming " + head).derive(secret)


def _joined(head: bytes, parts: tuple[str, ...]) -> bytes:
    """Length-prefixed, so that ("a", "bc") and ("ab", "c") differ."""
    encoded = [part.encode() for part in parts]
    return head + b"".join(struct.pack("<I", len(part)) + part for part in encoded)

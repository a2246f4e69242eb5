"""Encryption of stored face data under three layers of keys, which allows crypto-shredding.

The root key of the deployment wraps one key per school, the school's key wraps one data key per student, and the data
key encrypts the student's face data. Only wrapped keys are stored. Deleting a student's wrapped data key makes the
student's data unreadable, even to an attacker who has every other key. Rotating the root key re-wraps the school keys
and changes nothing below them.

Pictures of the face have a key of their own per student, under the same school's key: the template can be shredded while
pictures stay readable, and the other way round.

The associated data bind each record to student, engine, version and purpose, so a row that is copied to another student
or read for another purpose does not decrypt. They bind each picture to student, purpose, source and name. Every key has 256 bits. The cipher's own key is derived from it (RFC 5869,
expansion only, since the keys are random), and the cipher is named in the header of the ciphertext.
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
_PICTURE, _PICTURE_KEY = b"DMP1", b"DMQ1"
_MAGIC_BYTES = 4
_NAME_BYTES = 16


class TemplateUnreadable(BiometricsError):
    """Wrong key, student, engine or purpose, or altered bytes. The error does not say which."""

    code = "face_template_unreadable"
    status = 500
    zh = "人脸模板无法读取。请重新采集人脸；如反复出现，请联系管理员。"
    en = "The face template cannot be read. Enrol the face again; if it recurs, tell the administrator."


class PictureUnreadable(BiometricsError):
    """Wrong key, student, purpose or name, or altered bytes. The error does not say which."""

    code = "picture_unreadable"
    status = 500
    zh = "照片无法读取：文件可能被改动，或密钥不可用。请联系管理员。"
    en = "The picture cannot be read: its file was altered, or its key is not available. Tell the administrator."


class Cipher(StrEnum):
    """Supported ciphers: AES-GCM (NIST SP 800-38D), and SM4 (GB/T 32907) in GCM (RFC 8998)."""

    AES_256_GCM = "aes-256-gcm"
    SM4_GCM = "sm4-gcm"


@dataclass(frozen=True, slots=True)
class _Suite:
    code: int
    algorithm: Callable[[bytes], CipherAlgorithm]
    key_bytes: int
    digest: Callable[[], hashes.HashAlgorithm]
    """The hash for key derivation, from the same family of standards as the cipher."""


_SUITES = {
    Cipher.AES_256_GCM: _Suite(1, algorithms.AES, 32, hashes.SHA256),
    Cipher.SM4_GCM: _Suite(2, algorithms.SM4, 16, hashes.SM3),
}
_BY_CODE = {suite.code: cipher for cipher, suite in _SUITES.items()}


@dataclass(frozen=True, slots=True)
class KeyEncryptionKey:
    """A named 256-bit key: the root key by its version, or a school key by the school's id. Never stored in clear."""

    id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != _KEY_BYTES:
            raise ValueError(f"a key-encryption key has {_KEY_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class DataKey:
    """A student's data key in clear."""

    student_id: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PictureKey:
    """The key of a student's pictures in clear."""

    student_id: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A key as stored, with the id of the key that wraps it. Deleting all copies shreds everything below it."""

    kek_id: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Binding:
    """The context of an encrypted record: authenticated, not secret."""

    student_id: str
    engine: EngineKey
    purpose: str


# --- keys ---


def new_school_key(school_id: str, root: KeyEncryptionKey, cipher: Cipher) -> WrappedKey:
    """Generate a random school key and wrap it."""
    return _wrap(_SCHOOL_KEY, os.urandom(_KEY_BYTES), school_id, root, cipher)


def open_school_key(wrapped: WrappedKey, school_id: str, root: KeyEncryptionKey) -> KeyEncryptionKey:
    """Unwrap a school key, which wraps the keys of its students. Raises TemplateUnreadable."""
    return KeyEncryptionKey(school_id, _unwrap(_SCHOOL_KEY, wrapped, school_id, root))


def rewrap_school_key(
    wrapped: WrappedKey, school_id: str, old: KeyEncryptionKey, new: KeyEncryptionKey, cipher: Cipher
) -> WrappedKey:
    """Wrap the same school key under another root key; nothing below it changes. Raises TemplateUnreadable."""
    return _wrap(_SCHOOL_KEY, _unwrap(_SCHOOL_KEY, wrapped, school_id, old), school_id, new, cipher)


def new_data_key(student_id: str, school: KeyEncryptionKey, cipher: Cipher) -> WrappedKey:
    """Generate a random data key for a student and wrap it."""
    return _wrap(_DATA_KEY, os.urandom(_KEY_BYTES), student_id, school, cipher)


def open_data_key(wrapped: WrappedKey, student_id: str, school: KeyEncryptionKey) -> DataKey:
    """Unwrap a student's data key. Raises TemplateUnreadable."""
    return DataKey(student_id, _unwrap(_DATA_KEY, wrapped, student_id, school))


def new_picture_key(student_id: str, school: KeyEncryptionKey, cipher: Cipher) -> WrappedKey:
    """Generate a random key for a student's pictures and wrap it."""
    return _wrap(_PICTURE_KEY, os.urandom(_KEY_BYTES), student_id, school, cipher)


def open_picture_key(wrapped: WrappedKey, student_id: str, school: KeyEncryptionKey) -> PictureKey:
    """Unwrap the key of a student's pictures. Raises PictureUnreadable."""
    try:
        return PictureKey(student_id, _unwrap(_PICTURE_KEY, wrapped, student_id, school))
    except TemplateUnreadable as error:
        raise PictureUnreadable from error


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
    """Encrypt a record of the student that owns the key. Raises TemplateUnreadable for another student."""
    return _seal(_RECORD, cipher, key.secret, plain, _context_of(binding, key))


def open_record(sealed: bytes, binding: Binding, key: DataKey) -> bytes:
    """Decrypt a record. Raises TemplateUnreadable unless every byte and every part of the binding matches."""
    return _open(_RECORD, key.secret, sealed, _context_of(binding, key))


def _context_of(binding: Binding, key: DataKey) -> tuple[str, ...]:
    if binding.student_id != key.student_id:
        raise TemplateUnreadable
    return binding.student_id, binding.engine.id, binding.engine.version, binding.purpose


# --- pictures ---


def derive_picture_name(context: tuple[str, ...], key: PictureKey) -> str:
    """The name of a picture in a store: 32 hexadecimal digits that tell nothing without the key.

    The same context always has the same name, so that a repeated upload replaces an interrupted one.
    """
    info = _associated_data(b"dianming picture name ", context)
    return HKDFExpand(hashes.SHA256(), _NAME_BYTES, info).derive(key.secret).hex()


def seal_picture(plain: bytes, context: tuple[str, ...], key: PictureKey, cipher: Cipher) -> bytes:
    """Encrypt a picture, bound to the student, to the context and to its name."""
    return _seal(_PICTURE, cipher, key.secret, plain, _picture_parts(context, key))


def open_picture(sealed: bytes, context: tuple[str, ...], key: PictureKey) -> bytes:
    """Decrypt a picture. Raises PictureUnreadable unless every byte, student, context and name match."""
    try:
        return _open(_PICTURE, key.secret, sealed, _picture_parts(context, key))
    except TemplateUnreadable as error:
        raise PictureUnreadable from error


def read_cipher(sealed: bytes) -> Cipher | None:
    """The cipher that the header names; None if these are no sealed bytes."""
    return _BY_CODE.get(sealed[_MAGIC_BYTES]) if len(sealed) > _MAGIC_BYTES else None


def _picture_parts(context: tuple[str, ...], key: PictureKey) -> tuple[str, ...]:
    return key.student_id, *context, derive_picture_name(context, key)


# --- bytes ---


def encrypt(cipher: Cipher, key: bytes, nonce: bytes, plain: bytes, associated: bytes) -> bytes:
    """The ciphertext followed by the 16-byte tag."""
    gcm = BlockCipher(_SUITES[cipher].algorithm(key), modes.GCM(nonce)).encryptor()
    gcm.authenticate_additional_data(associated)
    return gcm.update(plain) + gcm.finalize() + gcm.tag


def decrypt(cipher: Cipher, key: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
    """The inverse of `encrypt`. Raises cryptography's InvalidTag, or ValueError if `sealed` is too short."""
    mode = modes.GCM(nonce, sealed[-_TAG_BYTES:])
    gcm = BlockCipher(_SUITES[cipher].algorithm(key), mode).decryptor()
    gcm.authenticate_additional_data(associated)
    return gcm.update(sealed[:-_TAG_BYTES]) + gcm.finalize()


def _seal(magic: bytes, cipher: Cipher, secret: bytes, plain: bytes, parts: tuple[str, ...]) -> bytes:
    head = magic + bytes([_SUITES[cipher].code])
    nonce = os.urandom(_NONCE_BYTES)
    return (
        head
        + nonce
        + encrypt(cipher, _derive_key(secret, cipher, head), nonce, plain, _associated_data(head, parts))
    )


def _open(magic: bytes, secret: bytes, sealed: bytes, parts: tuple[str, ...]) -> bytes:
    head, body = sealed[: _MAGIC_BYTES + 1], sealed[_MAGIC_BYTES + 1 :]
    cipher = _BY_CODE.get(head[-1]) if len(head) == _MAGIC_BYTES + 1 else None
    if cipher is None or not head.startswith(magic):
        raise TemplateUnreadable
    nonce, body = body[:_NONCE_BYTES], body[_NONCE_BYTES:]
    try:
        return decrypt(cipher, _derive_key(secret, cipher, head), nonce, body, _associated_data(head, parts))
    except (InvalidTag, ValueError) as error:
        raise TemplateUnreadable from error


def _derive_key(secret: bytes, cipher: Cipher, head: bytes) -> bytes:
    """Derive the cipher's own key, separate for each cipher and layer, in the length the cipher requires."""
    suite = _SUITES[cipher]
    return HKDFExpand(suite.digest(), suite.key_bytes, b"dianming " + head).derive(secret)


def _associated_data(head: bytes, parts: tuple[str, ...]) -> bytes:
    """Length-prefixed parts, so that ("a", "bc") and ("ab", "c") differ."""
    encoded = [part.encode() for part in parts]
    return head + b"".join(struct.pack("<I", len(part)) + part for part in encoded)

"""Templates at rest: sealed with AES-256-GCM under a key of the student's own, which can be shredded.

Each student has a random data key; only its wrapped form is stored, under a key-encryption key that the
caller holds. The associated data bind a sealed template to student, engine, version and purpose, so that a
row copied to another student, or read for another purpose, does not open. Shredding a student is deleting
the wrapped key: what remains is noise. Rotating the key-encryption key touches wrapped keys alone.
"""

import os
import struct
from dataclasses import dataclass, field

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from biometrics.engine import EngineKey, Metric
from biometrics.errors import BiometricsError
from biometrics.matching import FaceTemplate

_KEY_BYTES, _NONCE_BYTES = 32, 12
_SEAL_MAGIC, _KEY_MAGIC = b"DMT1", b"DMK1"
_HEADER = struct.Struct("<4sHHf")
"""Magic, dimension, number of shots, spread; then metric and values (float16, little-endian)."""
_VALUES_MAGIC = b"DMV1"
_VALUE = np.dtype("<f2")


class TemplateUnreadable(BiometricsError):
    """Wrong key, wrong student, wrong engine, wrong purpose, or altered bytes: which one is not told."""

    code = "face_template_unreadable"
    status = 500
    zh = "人脸模板无法读取。请重新采集人脸；如反复出现，请联系管理员。"
    en = "The face template cannot be read. Enrol the face again; if it recurs, tell the administrator."


@dataclass(frozen=True, slots=True)
class KeyEncryptionKey:
    """A 256-bit key with a name; the name is stored beside what it wraps, the secret never."""

    id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != _KEY_BYTES:
            raise ValueError(f"a key-encryption key has {_KEY_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A student's data key as stored. Deleting every copy shreds the student's templates."""

    kek_id: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Binding:
    """What a sealed template is for; all of it is authenticated, none of it is secret."""

    student_id: str
    engine: EngineKey
    purpose: str

    def associated_data(self) -> bytes:
        return _joined(_SEAL_MAGIC, self.student_id, self.engine.id, self.engine.version, self.purpose)


def new_data_key(student_id: str, kek: KeyEncryptionKey) -> WrappedKey:
    """A fresh random data key for a student, already wrapped."""
    return _wrap(AESGCM.generate_key(8 * _KEY_BYTES), student_id, kek)


def rewrap(wrapped: WrappedKey, student_id: str, old: KeyEncryptionKey, new: KeyEncryptionKey) -> WrappedKey:
    """The same data key under another key-encryption key; sealed templates stay as they are."""
    return _wrap(_unwrap(wrapped, student_id, old), student_id, new)


def seal(template: FaceTemplate, binding: Binding, wrapped: WrappedKey, kek: KeyEncryptionKey) -> bytes:
    """Sealed bytes of a template; raises TemplateUnreadable when the data key does not open."""
    if template.engine != binding.engine:
        raise TemplateUnreadable
    key = _unwrap(wrapped, binding.student_id, kek)
    return _SEAL_MAGIC + _encrypt(key, serialise(template), binding.associated_data())


def unseal(sealed: bytes, binding: Binding, wrapped: WrappedKey, kek: KeyEncryptionKey) -> FaceTemplate:
    """The template; raises TemplateUnreadable unless every byte and every part of the binding is right."""
    if not sealed.startswith(_SEAL_MAGIC):
        raise TemplateUnreadable
    key = _unwrap(wrapped, binding.student_id, kek)
    return parse(_decrypt(key, sealed[len(_SEAL_MAGIC) :], binding.associated_data()), binding.engine)


def serialise(template: FaceTemplate) -> bytes:
    """Header, metric, float16 values: about 270 bytes for 128 dimensions, distances kept within 1e-3."""
    metric = template.metric.value.encode()
    header = _HEADER.pack(_VALUES_MAGIC, template.mean.size, template.shots, template.spread)
    return header + bytes([len(metric)]) + metric + template.mean.astype(_VALUE).tobytes()


def parse(data: bytes, engine: EngineKey) -> FaceTemplate:
    """The inverse of `serialise`; raises TemplateUnreadable."""
    try:
        magic, dimension, shots, spread = _HEADER.unpack_from(data)
        start = _HEADER.size + 1 + data[_HEADER.size]
        metric = Metric(data[_HEADER.size + 1 : start].decode("ascii"))
    except (struct.error, IndexError, ValueError) as error:
        raise TemplateUnreadable from error
    if magic != _VALUES_MAGIC or len(data) - start != dimension * _VALUE.itemsize:
        raise TemplateUnreadable
    mean = np.frombuffer(data, dtype=_VALUE, offset=start).astype(np.float32)
    if not np.isfinite(mean).all():
        raise TemplateUnreadable
    return FaceTemplate(engine, metric, mean, shots, spread)


def _wrap(key: bytes, student_id: str, kek: KeyEncryptionKey) -> WrappedKey:
    return WrappedKey(kek.id, _encrypt(kek.secret, key, _joined(_KEY_MAGIC, kek.id, student_id)))


def _unwrap(wrapped: WrappedKey, student_id: str, kek: KeyEncryptionKey) -> bytes:
    if wrapped.kek_id != kek.id:
        raise TemplateUnreadable
    return _decrypt(kek.secret, wrapped.sealed, _joined(_KEY_MAGIC, kek.id, student_id))


def _encrypt(key: bytes, plain: bytes, associated: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, associated)


def _decrypt(key: bytes, sealed: bytes, associated: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], associated)
    except (InvalidTag, ValueError) as error:
        raise TemplateUnreadable from error


def _joined(magic: bytes, *parts: str) -> bytes:
    """Length-prefixed, so that ("a", "bc") and ("ab", "c") differ."""
    encoded = [part.encode() for part in parts]
    return magic + b"".join(struct.pack("<I", len(part)) + part for part in encoded)

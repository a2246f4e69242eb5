"""Serialisation of face data: templates, and the mean descriptor with frame hashes of accepted selfies.

Numbers are stored in half precision; `bench/face/template_loss.py` measures the effect (docs/biometrics.md).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from biometrics.engines.base import Descriptor, EngineKey, Metric, Vector
from biometrics.matching.decision import FaceTemplate
from biometrics.templates.sealing import (
    Binding,
    Cipher,
    DataKey,
    TemplateUnreadable,
    open_record,
    seal_record,
)

_HEADER = struct.Struct("<4sHHf")
"""Magic, dimension, number of shots, spread; then metric and values (float16, little-endian)."""
_VALUES_MAGIC = b"DMV1"
_SELFIE_HEADER = struct.Struct("<4sHH")
"""Magic, dimension, number of hashes; then metric, values and hashes (64 bits each, little-endian)."""
_SELFIE_MAGIC = b"DMP1"
_VALUE, _HASH = np.dtype("<f2"), np.dtype("<u8")


@dataclass(frozen=True, slots=True, eq=False)
class SelfieRecord:
    """Data of an accepted burst that reveals a later re-use: the mean descriptor and a hash of each frame."""

    descriptor: Descriptor
    hashes: tuple[int, ...]
    """Perceptual hashes (`Fingerprint.phash`) in the order of the frames."""


def round_to_half(vector: Vector) -> Vector:
    """The vector as it is after storage: rounded to half precision."""
    return vector.astype(_VALUE).astype(np.float32)


# --- templates ---


def seal_template(template: FaceTemplate, binding: Binding, key: DataKey, cipher: Cipher) -> bytes:
    """Encrypt a template. Raises TemplateUnreadable if the binding or the key belongs to another one."""
    if template.engine != binding.engine:
        raise TemplateUnreadable
    return seal_record(serialise_template(template), binding, key, cipher)


def unseal_template(sealed: bytes, binding: Binding, key: DataKey) -> FaceTemplate:
    """Decrypt a template. Raises TemplateUnreadable unless every byte and every part of the binding matches."""
    return parse_template(open_record(sealed, binding, key), binding.engine)


def serialise_template(template: FaceTemplate) -> bytes:
    """Header, metric, values: about 270 bytes for 128 dimensions."""
    header = _HEADER.pack(_VALUES_MAGIC, template.mean.size, template.shots, template.spread)
    return header + _pack_values(template.metric, template.mean)


def parse_template(data: bytes, engine: EngineKey) -> FaceTemplate:
    """The inverse of `serialise_template`. Raises TemplateUnreadable."""
    try:
        magic, dimension, shots, spread = _HEADER.unpack_from(data)
    except struct.error as error:
        raise TemplateUnreadable from error
    metric, mean, rest = _read_values(data[_HEADER.size :], dimension)
    if magic != _VALUES_MAGIC or rest:
        raise TemplateUnreadable
    return FaceTemplate(engine, metric, mean, shots, spread)


# --- accepted pictures ---


def serialise_selfie(descriptor: Descriptor, hashes: Sequence[int]) -> bytes:
    """Header, metric, values, hashes: about 340 bytes for 128 dimensions and eight frames."""
    header = _SELFIE_HEADER.pack(_SELFIE_MAGIC, descriptor.vector.size, len(hashes))
    values = _pack_values(descriptor.metric, descriptor.vector)
    return header + values + np.array(hashes, dtype=_HASH).tobytes()


def parse_selfie(data: bytes, engine: EngineKey) -> SelfieRecord:
    """The inverse of `serialise_selfie`. Raises TemplateUnreadable."""
    try:
        magic, dimension, count = _SELFIE_HEADER.unpack_from(data)
    except struct.error as error:
        raise TemplateUnreadable from error
    metric, vector, rest = _read_values(data[_SELFIE_HEADER.size :], dimension)
    if magic != _SELFIE_MAGIC or len(rest) != count * _HASH.itemsize:
        raise TemplateUnreadable
    hashes = tuple(int(each) for each in np.frombuffer(rest, dtype=_HASH))
    return SelfieRecord(Descriptor(engine, metric, vector), hashes)


def _pack_values(metric: Metric, vector: Vector) -> bytes:
    name = metric.value.encode()
    return bytes([len(name)]) + name + vector.astype(_VALUE).tobytes()


def _read_values(data: bytes, dimension: int) -> tuple[Metric, Vector, bytes]:
    """Metric, values, and the remaining bytes."""
    try:
        start = 1 + data[0]
        metric = Metric(data[1:start].decode("ascii"))
    except (IndexError, ValueError) as error:
        raise TemplateUnreadable from error
    end = start + dimension * _VALUE.itemsize
    if len(data) < end:
        raise TemplateUnreadable
    vector = np.frombuffer(data[start:end], dtype=_VALUE).astype(np.float32)
    if not np.isfinite(vector).all():
        raise TemplateUnreadable
    return metric, vector, data[end:]

"""Recognising a picture that was seen before: exactly, or nearly.

Both hashes are taken over decoded pixels, so metadata and re-encoding without loss change neither. A near
duplicate is a signal for a second look, never a verdict: two frames of a steady hand look alike too.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from biometrics.pictures.decoding import WORKING_SIDE, Grey, Picture

_HASH_SIDE, _SAMPLE_SIDE = 8, 32
_BITS = _HASH_SIDE * _HASH_SIDE


def _cosines() -> np.ndarray:
    """The rows of the orthogonal DCT-II that keep the lowest frequencies, shape (8, 32)."""
    frequency = np.arange(_HASH_SIDE)[:, None]
    sample = np.arange(_SAMPLE_SIDE)[None, :]
    return np.cos(np.pi * frequency * (2 * sample + 1) / (2 * _SAMPLE_SIDE))


_DCT = _cosines()


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """SHA-256 of the decoded grey pixels (hex), and a 64-bit perceptual hash."""

    sha256: str
    phash: int


def fingerprint(picture: Picture) -> Fingerprint:
    """Both hashes of one picture, over its small grey decoding."""
    grey = picture.grey(WORKING_SIDE).pixels
    digest = hashlib.sha256(repr((picture.width, picture.height, grey.shape)).encode())
    digest.update(grey.data)
    return Fingerprint(digest.hexdigest(), perceptual_hash(grey))


def perceptual_hash(grey: Grey) -> int:
    """The DCT hash of Zauner (2010): the 8 × 8 lowest DCT coefficients of a 32 × 32 grey image against their median.

    The constant term only says how bright the picture is; it is left out of the median and set to zero.
    """
    small = Image.fromarray(grey).resize((_SAMPLE_SIDE, _SAMPLE_SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    coefficients = (_DCT @ np.asarray(small, dtype=np.float64) @ _DCT.T).ravel()
    bits = coefficients > np.median(coefficients[1:])
    bits[0] = False
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def hamming(one: int, other: int) -> int:
    """Number of differing bits of two perceptual hashes, 0 to 64."""
    return (one ^ other).bit_count()


def near_duplicate(one: Fingerprint, other: Fingerprint, max_bits: int) -> bool:
    """The same picture, or one within `max_bits` differing bits (0 ≤ max_bits ≤ 64)."""
    if not 0 <= max_bits <= _BITS:
        raise ValueError(f"max_bits must be 0 to {_BITS}, not {max_bits}")
    return one.sha256 == other.sha256 or hamming(one.phash, other.phash) <= max_bits

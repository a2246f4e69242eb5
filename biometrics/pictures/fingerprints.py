"""Fingerprints to recognise a picture that was sent before, exactly or nearly.

Both hashes are computed from decoded pixels, so metadata and lossless re-encoding do not change them. A near duplicate is
only a reason for a second look: two frames from a steady hand look alike too.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from biometrics.pictures.decoding import WORKING_SIDE, Grey, Picture

_HASH_SIDE, _SAMPLE_SIDE = 8, 32
_BITS = _HASH_SIDE * _HASH_SIDE


def _dct_rows() -> np.ndarray:
    """The lowest frequencies of the orthogonal DCT-II, shape (8, 32)."""
    frequency = np.arange(_HASH_SIDE)[:, None]
    sample = np.arange(_SAMPLE_SIDE)[None, :]
    return np.cos(np.pi * frequency * (2 * sample + 1) / (2 * _SAMPLE_SIDE))


_DCT = _dct_rows()


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """SHA-256 of the decoded grey pixels (hex), and a 64-bit perceptual hash."""

    sha256: str
    phash: int


def fingerprint(picture: Picture) -> Fingerprint:
    """Both hashes of one picture, computed from its small grey decoding."""
    grey = picture.grey(WORKING_SIDE).pixels
    digest = hashlib.sha256(repr((picture.width, picture.height, grey.shape)).encode())
    digest.update(grey.data)
    return Fingerprint(digest.hexdigest(), perceptual_hash(grey))


def perceptual_hash(grey: Grey) -> int:
    """The DCT hash of Zauner (2010): the 8 × 8 lowest DCT coefficients of a 32 × 32 grey image against their median.

    The constant term only measures brightness, so it is excluded from the median and set to zero.
    """
    small = Image.fromarray(grey).resize((_SAMPLE_SIDE, _SAMPLE_SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    coefficients = (_DCT @ np.asarray(small, dtype=np.float64) @ _DCT.T).ravel()
    bits = coefficients > np.median(coefficients[1:])
    bits[0] = False
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def hamming(one: int, other: int) -> int:
    """The number of differing bits of two perceptual hashes, 0 to 64."""
    return (one ^ other).bit_count()


def near_duplicate(one: Fingerprint, other: Fingerprint, max_bits: int) -> bool:
    """Whether two pictures are equal or differ in at most `max_bits` bits (0 ≤ max_bits ≤ 64)."""
    if not 0 <= max_bits <= _BITS:
        raise ValueError(f"max_bits must be 0 to {_BITS}, not {max_bits}")
    return one.sha256 == other.sha256 or hamming(one.phash, other.phash) <= max_bits

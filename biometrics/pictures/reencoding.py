"""Re-encodes verified pictures from their pixels before long-term storage, and fingerprints single pictures.

Both run in a worker, because a picture may crash it.
"""

from biometrics.engines.base import EngineSet
from biometrics.errors import BiometricsError
from biometrics.pictures.decoding import DecodeLimits, Picture, reencode
from biometrics.pictures.fingerprints import Fingerprint, fingerprint

KEPT_SIDE = 720
"""Minimum short side of the stored copy in pixels, unless the original is smaller: enough for a human reviewer."""
KEPT_QUALITY = 88


def reencode_picture(engines: EngineSet, data: bytes) -> bytes | None:  # noqa: ARG001 - the pool passes its engines to every task
    """Encode the pixels as a new JPEG. Returns None if `data` is not a valid picture."""
    try:
        return reencode(Picture.open(data, DecodeLimits()), KEPT_SIDE, KEPT_QUALITY)
    except BiometricsError:
        return None


def fingerprint_picture(engines: EngineSet, data: bytes) -> Fingerprint | None:  # noqa: ARG001 - as above
    """Both hashes of one picture. Returns None if `data` is not a valid picture."""
    try:
        return fingerprint(Picture.open(data, DecodeLimits()))
    except BiometricsError:
        return None

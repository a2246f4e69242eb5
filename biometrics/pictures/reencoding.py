"""Pictures that stay after they were judged: drawn anew from their pixels, in a worker that may die of them."""

from biometrics.engines.base import EngineSet
from biometrics.errors import BiometricsError
from biometrics.pictures.decoding import DecodeLimits, Picture, reencode

KEPT_SIDE = 720
"""Pixels that the short side keeps at least, if it had them: enough for a person to look at."""
KEPT_QUALITY = 88


def redraw(engines: EngineSet, data: bytes) -> bytes | None:  # noqa: ARG001 - what a task of the pool is given
    """A JPEG of the pixels alone; None for what is no picture."""
    try:
        return reencode(Picture.open(data, DecodeLimits()), KEPT_SIDE, KEPT_QUALITY)
    except BiometricsError:
        return None

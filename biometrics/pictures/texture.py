"""Texture measures of a face image, for a risk score only. They never lead to a refusal.

A photographed screen shows moiré fringes, which are narrow peaks in the spectrum. Prints and screens also change the
distribution of local binary patterns (Ojala, Pietikäinen and Mäenpää, 2002). Both depend on camera, distance and
compression, so they decide nothing.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from biometrics.engines.base import Box
from biometrics.pictures.decoding import Grey, Picture

SIDE = 256
"""Side of the analysed square in the camera's own pixels: scaling would remove the fringes."""
_RINGS = 32
_LOWEST, _HIGHEST = 0.08, 0.47
"""Cycles per pixel: below is the face itself, above is beyond what a lens resolves."""
_AXIS, _UNIFORM_TRANSITIONS = 2, 2

_Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Texture:
    """The texture of one frame."""

    moire: float
    """The strongest spectral peak relative to the median of its ring, log10: about 1 without fringes."""
    irregular: float
    """Share of local binary patterns with more than two transitions around the circle."""


def measure_texture(picture: Picture, box: Box) -> Texture | None:
    """Measure the middle of the face. None if the face is smaller than the analysed square."""
    if min(box.width, box.height) < SIDE:
        return None
    pixels = picture.grey().pixels
    top = round((box.top + box.bottom - SIDE) / 2)
    left = round((box.left + box.right - SIDE) / 2)
    cut = pixels[max(0, top) : top + SIDE, max(0, left) : left + SIDE]
    return measure_square(cut) if cut.shape == (SIDE, SIDE) else None


def measure_square(grey: Grey) -> Texture:
    """Measure a square of SIDE × SIDE grey pixels."""
    return Texture(_moire(grey.astype(np.float64)), _irregular_share(grey))


def _moire(grey: _Values) -> float:
    spectrum = np.abs(np.fft.rfft2((grey - grey.mean()) * _window())).ravel()
    peak = max(
        float(ring.max() / (np.median(ring) + 1.0)) for ring in (spectrum[places] for places in _rings())
    )
    return float(np.log10(max(peak, 1.0)))


@cache
def _window() -> _Values:
    return np.outer(np.hanning(SIDE), np.hanning(SIDE))


@cache
def _rings() -> tuple[npt.NDArray[np.intp], ...]:
    """The indices of each ring's frequencies in the flattened spectrum."""
    down, across = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :]
    radius = np.hypot(down, across)
    usable = (radius >= _LOWEST) & (radius < _HIGHEST)
    for axis in (down, across):
        # Edges of compression blocks, hair and collars lie along the axes.
        usable &= np.abs(axis * SIDE) > _AXIS
    ring = np.where(usable, np.floor(radius / _HIGHEST * _RINGS), -1).ravel()
    return tuple(np.flatnonzero(ring == number) for number in range(_RINGS) if (ring == number).any())


def _irregular_share(grey: Grey) -> float:
    inner = grey[1:-1, 1:-1]
    around = (
        grey[:-2, :-2], grey[:-2, 1:-1], grey[:-2, 2:], grey[1:-1, 2:],
        grey[2:, 2:], grey[2:, 1:-1], grey[2:, :-2], grey[1:-1, :-2],
    )  # fmt: skip
    bits = np.stack([side >= inner for side in around])
    changes = (bits != np.roll(bits, 1, axis=0)).sum(axis=0, dtype=np.uint8)
    return float((changes > _UNIFORM_TRANSITIONS).mean())

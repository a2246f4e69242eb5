"""Figures about the fine structure of a face's picture: for a risk score, never for a refusal.

A screen that is photographed leaves fringes where its grid meets the sensor's: narrow peaks in the spectrum. Prints and
screens also change the mixture of small patterns (local binary patterns: Ojala, Pietikäinen and Mäenpää, 2002). Both
depend on camera, distance and compression, so that neither decides anything.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from biometrics.engines.base import Box
from biometrics.pictures.decoding import Grey, Picture

SIDE = 256
"""Side of the square that is looked at, in the camera's own pixels: fringes do not survive scaling."""
_RINGS = 32
_LOWEST, _HIGHEST = 0.08, 0.47
"""Cycles per pixel: below lies the face itself, above nothing that a lens resolves."""
_AXIS, _UNIFORM_TRANSITIONS = 2, 2

_Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Texture:
    """Two figures of one frame."""

    moire: float
    """The strongest spectral peak by the median of its ring, as a decimal logarithm: about 1 without fringes."""
    irregular: float
    """Share of local binary patterns with more than two changes round the circle."""


def measure_texture(picture: Picture, box: Box) -> Texture | None:
    """The figures of the middle of the face; None for a face smaller than the square that is looked at."""
    if min(box.width, box.height) < SIDE:
        return None
    pixels = picture.grey().pixels
    top = round((box.top + box.bottom - SIDE) / 2)
    left = round((box.left + box.right - SIDE) / 2)
    cut = pixels[max(0, top) : top + SIDE, max(0, left) : left + SIDE]
    return texture_of(cut) if cut.shape == (SIDE, SIDE) else None


def texture_of(grey: Grey) -> Texture:
    """The figures of a square of grey pixels, SIDE × SIDE."""
    return Texture(_moire(grey.astype(np.float64)), _irregular(grey))


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
    """The places of each ring's frequencies in the flat spectrum."""
    down, across = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :]
    radius = np.hypot(down, across)
    usable = (radius >= _LOWEST) & (radius < _HIGHEST)
    for axis in (down, across):
        usable &= np.abs(axis * SIDE) > _AXIS  # edges of blocks, hair and collars lie along the axes
    ring = np.where(usable, np.floor(radius / _HIGHEST * _RINGS), -1).ravel()
    return tuple(np.flatnonzero(ring == number) for number in range(_RINGS) if (ring == number).any())


def _irregular(grey: Grey) -> float:
    inner = grey[1:-1, 1:-1]
    around = (
        grey[:-2, :-2], grey[:-2, 1:-1], grey[:-2, 2:], grey[1:-1, 2:],
        grey[2:, 2:], grey[2:, 1:-1], grey[2:, :-2], grey[1:-1, :-2],
    )  # fmt: skip
    bits = np.stack([side >= inner for side in around])
    changes = (bits != np.roll(bits, 1, axis=0)).sum(axis=0)
    return float((changes > _UNIFORM_TRANSITIONS).mean())

"""Measures whether the face reflects the colours that the screen shows. Only a risk signal: daylight hides the effect.

The screen lights a face at arm's length, but hardly the room behind it. White balance and exposure change both alike, so
the logarithm of face over background is correlated with the shown colours, both centred over frames and channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from biometrics.engines.base import Box
from biometrics.pictures.decoding import DecodedImage

Colour = tuple[float, float, float]
"""Red, green, blue, 0 to 255."""

_Values = npt.NDArray[np.float64]

_MIN_GREY = 1.0
"""Grey level below which a logarithm is not meaningful."""
_MIN_FRAMES = 3


@dataclass(frozen=True, slots=True)
class FlashResponse:
    """How the face responds to the shown colours."""

    correlation: float
    """Pearson correlation, -1 to 1, of the shown colours with the ratio of face to background."""
    strength: float
    """Standard deviation of that ratio in natural logarithms: 0.01 is one percent."""


def mean_colours(decoded: DecodedImage, box: Box) -> tuple[Colour, Colour]:
    """Mean colours of the inner face and of the background outside the grown box, or of the whole picture without one."""
    pixels, box = decoded.pixels, box.scaled(1 / decoded.factor)
    height, width = pixels.shape[:2]
    inner, outer = box.grown(-0.2), box.grown(0.25)
    rows, columns = _span(inner.top, inner.bottom, height), _span(inner.left, inner.right, width)
    face = pixels[rows, columns].reshape(-1, 3)
    behind = np.ones((height, width), dtype=bool)
    behind[_span(outer.top, outer.bottom, height), _span(outer.left, outer.right, width)] = False
    background = pixels[behind] if behind.any() else pixels.reshape(-1, 3)
    return _mean_colour(face), _mean_colour(background)


def flash_response(
    shown: Sequence[Colour], faces: Sequence[Colour], backgrounds: Sequence[Colour]
) -> FlashResponse | None:
    """Correlate over at least three frames. None if it is undefined, for example if only one colour was shown."""
    if len(shown) < _MIN_FRAMES or not len(shown) == len(faces) == len(backgrounds):
        return None
    shown_hues = _centre_colours(np.asarray(shown, dtype=np.float64))
    ratio = np.log(np.maximum(faces, _MIN_GREY)) - np.log(np.maximum(backgrounds, _MIN_GREY))
    face_hues = _centre_colours(ratio)
    if not shown_hues.std() or not face_hues.std():
        return None
    correlation = float((shown_hues * face_hues).mean() / (shown_hues.std() * face_hues.std()))
    return FlashResponse(correlation, float(face_hues.std()))


def _centre_colours(colours: _Values) -> _Values:
    """Subtract each frame's brightness and each channel's mean over the burst."""
    hues: _Values = colours - colours.mean(axis=1, keepdims=True)
    centred: _Values = hues - hues.mean(axis=0, keepdims=True)
    return centred


def _mean_colour(pixels: npt.NDArray[np.uint8]) -> Colour:
    red, green, blue = pixels.mean(axis=0)
    return float(red), float(green), float(blue)


def _span(start: float, end: float, length: int) -> slice:
    """A slice of at least one pixel inside the picture."""
    first = min(max(0, int(start)), length - 1)
    return slice(first, min(length, max(first + 1, int(end))))


def screen_colour_at(flash: Sequence[str], colour_ms: int, at_ms: int) -> Colour | None:
    """Return the screen colour `at_ms` after the burst began, or None without flash colours.

    `flash` holds hex codes such as `#ff0000`; each is shown for `colour_ms`, and the sequence repeats.
    """
    if not flash:
        return None
    red, green, blue = bytes.fromhex(flash[at_ms // colour_ms % len(flash)].removeprefix("#"))
    return float(red), float(green), float(blue)

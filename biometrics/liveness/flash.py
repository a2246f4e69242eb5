"""Does the face answer the colours that the screen shows? A signal only: daylight drowns a screen.

A face at arm's length is lit by the screen, the room behind it hardly; white balance and exposure change both alike. So
the logarithm of face over background is compared with the shown colours, each freed of its mean over frames and channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from biometrics.engines.base import Box
from biometrics.pictures.decoding import Scaled

Colour = tuple[float, float, float]
"""Red, green, blue, 0 to 255."""

_Values = npt.NDArray[np.float64]

_FLOOR = 1.0
"""Grey level below which a logarithm says nothing."""
_LEAST_FRAMES = 3


@dataclass(frozen=True, slots=True)
class FlashResponse:
    """How the burst answers the shown colours."""

    correlation: float
    """Pearson's, -1 to 1, of shown colours and the face's colours against the background's."""
    strength: float
    """Standard deviation of the latter, in natural logarithms: 0.01 is one percent."""


def mean_colours(decoded: Scaled, box: Box) -> tuple[Colour, Colour]:
    """Mean colours of the inner face and of what lies outside the grown box; the whole picture if nothing does."""
    pixels, box = decoded.pixels, box.scaled(1 / decoded.factor)
    height, width = pixels.shape[:2]
    inner, outer = box.grown(-0.2), box.grown(0.25)
    rows, columns = _span(inner.top, inner.bottom, height), _span(inner.left, inner.right, width)
    face = pixels[rows, columns].reshape(-1, 3)
    behind = np.ones((height, width), dtype=bool)
    behind[_span(outer.top, outer.bottom, height), _span(outer.left, outer.right, width)] = False
    background = pixels[behind] if behind.any() else pixels.reshape(-1, 3)
    return _colour(face), _colour(background)


def flash_response(
    shown: Sequence[Colour], faces: Sequence[Colour], backgrounds: Sequence[Colour]
) -> FlashResponse | None:
    """The correlation over at least three frames; None where nothing can be said, as when one colour was shown."""
    if len(shown) < _LEAST_FRAMES or not len(shown) == len(faces) == len(backgrounds):
        return None
    asked = _centred(np.asarray(shown, dtype=np.float64))
    ratio = np.log(np.maximum(faces, _FLOOR)) - np.log(np.maximum(backgrounds, _FLOOR))
    answered = _centred(ratio)
    if not asked.std() or not answered.std():
        return None
    correlation = float((asked * answered).mean() / (asked.std() * answered.std()))
    return FlashResponse(correlation, float(answered.std()))


def _centred(colours: _Values) -> _Values:
    """Without each frame's brightness and each channel's mean over the burst."""
    hues: _Values = colours - colours.mean(axis=1, keepdims=True)
    centred: _Values = hues - hues.mean(axis=0, keepdims=True)
    return centred


def _colour(pixels: npt.NDArray[np.uint8]) -> Colour:
    red, green, blue = pixels.mean(axis=0)
    return float(red), float(green), float(blue)


def _span(start: float, end: float, length: int) -> slice:
    """At least one pixel inside the picture."""
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

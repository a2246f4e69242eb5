"""Cuts an aligned chip out of a picture: a similarity transform from named points, sampled once."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from biometrics.engines.base import DetectedFace, Point
from biometrics.pictures.decoding import Pixels


def named_points(face: DetectedFace) -> dict[str, complex]:
    """The points of a face by name, x + iy. Eyes are the midpoint of their corners."""
    marks = face.landmarks
    named = {
        "left_eye": (_complex(marks.left_eye[0]) + _complex(marks.left_eye[1])) / 2,
        "right_eye": (_complex(marks.right_eye[0]) + _complex(marks.right_eye[1])) / 2,
        "nose": _complex(marks.nose),
    }
    if face.mouth is not None:
        named |= {"mouth_left": _complex(face.mouth[0]), "mouth_right": _complex(face.mouth[1])}
    return named


def _complex(point: Point) -> complex:
    return complex(point.x, point.y)


def fit_similarity(
    places: npt.NDArray[np.complex128], there: npt.NDArray[np.complex128]
) -> tuple[complex, complex]:
    """Fit `there = origin + step * places` by least squares. Returns step and origin."""
    middle, target = places.mean(), there.mean()
    spread = places - middle
    step = complex(np.vdot(spread, there - target) / np.vdot(spread, spread).real)
    return step, complex(target - step * middle)


def sample_chip(pixels: Pixels, step: complex, origin: complex, size: tuple[int, int]) -> Pixels:
    """Sample a chip of `size` whose pixels lie `step` apart, from `origin` on. Black outside the picture."""
    height, width = pixels.shape[:2]
    corners = [origin + step * complex(x, y) for x in (0, size[0]) for y in (0, size[1])]
    coarse = max(1, int(abs(step)))
    left, top = (max(0, int(min(side)) - coarse) for side in _coordinates(corners))
    right, bottom = (int(max(side)) + 1 + coarse for side in _coordinates(corners))
    right, bottom = min(width, right), min(height, bottom)
    if right <= left or bottom <= top:
        return np.zeros((size[1], size[0], 3), dtype=np.uint8)
    part = Image.fromarray(pixels[top:bottom, left:right]).reduce(coarse)
    step, origin = step / coarse, (origin - complex(left, top)) / coarse
    turned = (step.real, -step.imag, origin.real, step.imag, step.real, origin.imag)
    return np.asarray(part.transform(size, Image.Transform.AFFINE, turned, Image.Resampling.BILINEAR))


def _coordinates(places: list[complex]) -> tuple[list[float], list[float]]:
    return [place.real for place in places], [place.imag for place in places]

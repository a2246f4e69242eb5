"""Measures the expression in one frame, independent of camera and face size.

Eye aspect ratio: Soukupová and Čech, "Real-Time Eye Blink Detection using Facial Landmarks" (2016). The planar residual
is the error that remains after the best homography has mapped one frame's rigid points to another's. A flat object moves
by a homography, however it is tilted. A turning head does not, because the nose stands out of the plane of the face.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from biometrics.engines.base import Contours, Point

_Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Expression:
    """The measurements of one frame."""

    eyes: float
    """Mean eye aspect ratio of both eyes: about 0.3 when open, below half of the person's own value when closed."""
    mouth: float
    """Ratio of height to width of the inner lips: near 0 when closed."""
    turn: float
    """Offset of the nose from the midpoint of the eyes along their axis, in eye distances; positive to the person's left."""
    eye_distance: float
    """Distance between the midpoints of the eyes, in pixels of the original."""


def measure_expression(contours: Contours) -> Expression:
    """Measure one face."""
    left, right = _midpoint(contours.left_eye), _midpoint(contours.right_eye)
    across = (right.x - left.x, right.y - left.y)
    squared = across[0] ** 2 + across[1] ** 2
    nose = (contours.nose.x - (left.x + right.x) / 2, contours.nose.y - (left.y + right.y) / 2)
    return Expression(
        eyes=(_aspect_ratio(contours.left_eye) + _aspect_ratio(contours.right_eye)) / 2,
        mouth=_aspect_ratio(contours.mouth),
        turn=(nose[0] * across[0] + nose[1] * across[1]) / squared if squared else 0.0,
        eye_distance=math.sqrt(squared),
    )


def planar_residual(one: Contours, other: Contours) -> float:
    """Root mean square error of the best planar homography between the rigid points, in eye distances.

    Relative to the larger eye distance of the two, so that tilting a picture away gains nothing. Faces of size zero have
    no residual, because they are no evidence of depth.
    """
    before, after = _array(one.rigid), _array(other.rigid)
    scale = max(measure_expression(each).eye_distance for each in (one, other))
    if not scale:
        return 0.0
    carried = _apply_homography(before, _fit_homography(before, after))
    residual = float(np.sqrt(((carried - after) ** 2).sum(axis=1).mean()))
    return residual / scale if math.isfinite(residual) else 0.0


def _aspect_ratio(outline: Sequence[Point]) -> float:
    """Ratio of mean height to width of a closed outline. Its first point and the one halfway round are the corners."""
    half = len(outline) // 2
    width = _distance(outline[0], outline[half])
    heights = [_distance(outline[step], outline[-step]) for step in range(1, half)]
    return sum(heights) / len(heights) / width if width else 0.0


def _fit_homography(before: _Points, after: _Points) -> _Points:
    """Direct linear transformation over normalised points (Hartley and Zisserman, algorithm 4.2)."""
    normal_before, normal_after = _normalisation(before), _normalisation(after)
    x, y = _apply_homography(before, normal_before).T
    u, v = _apply_homography(after, normal_after).T
    one, none = np.ones_like(x), np.zeros_like(x)
    rows = np.concatenate(
        [
            np.stack([-x, -y, -one, none, none, none, u * x, u * y, u], axis=1),
            np.stack([none, none, none, -x, -y, -one, v * x, v * y, v], axis=1),
        ]
    )
    solved = np.linalg.svd(rows)[2][-1].reshape(3, 3)
    homography: _Points = np.linalg.inv(normal_after) @ solved @ normal_before
    return homography


def _normalisation(points: _Points) -> _Points:
    """The transformation that moves the centroid to the origin and the mean distance from it to sqrt(2)."""
    x, y = points.mean(axis=0)
    spread = float(np.linalg.norm(points - (x, y), axis=1).mean())
    scale = math.sqrt(2) / spread if spread else 1.0
    return np.array([[scale, 0, -scale * x], [0, scale, -scale * y], [0, 0, 1]], dtype=np.float64)


def _apply_homography(points: _Points, homography: _Points) -> _Points:
    moved = np.column_stack([points, np.ones(len(points))]) @ homography.T
    with np.errstate(divide="ignore", invalid="ignore"):
        flat: _Points = moved[:, :2] / moved[:, 2:]
    return flat


def _array(points: Sequence[Point]) -> _Points:
    return np.array([(point.x, point.y) for point in points], dtype=np.float64)


def _midpoint(outline: Sequence[Point]) -> Point:
    """The midpoint between the corners: lids move, corners do not."""
    one, other = outline[0], outline[len(outline) // 2]
    return Point((one.x + other.x) / 2, (one.y + other.y) / 2)


def _distance(one: Point, other: Point) -> float:
    return math.hypot(other.x - one.x, other.y - one.y)

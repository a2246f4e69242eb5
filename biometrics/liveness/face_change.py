"""How much a face changed between the first and the last moment at rest, beyond what moving one picture explains.

Software that animates one photograph shows the same pixels at the start and at the end of a burst, moved and with fresh
noise. A living face differs after seconds and an action: lids, lips, folds and shade. Both moments are cut to small
aligned chips and registered with each other (`registration`); the change is the detail that remains unexplained.
docs/biometrics.md has the figures, and what this cannot tell: a generated face, or one that changes as an adversary wants.
"""

import math

import numpy as np
from PIL import Image

from biometrics.engines.base import Box, Contours, Point
from biometrics.liveness.challenge import MeasuredFrame
from biometrics.liveness.registration import Chip, Mask, unexplained_share, warp_onto
from biometrics.pictures.decoding import Picture

CHIP_SIDE = 64
_EYES_APART, _EYE_ROW = 0.40, 0.30
"""Where the midpoints of the eyes are in a chip, as shares of its side."""
_CHEEKS, _NOSE_BASE = 0.42, 0.58
_MAX_TURN = 0.08
"""Difference of the nose's offset, in eye distances, up to which two frames look the same way. Turned heads register
badly, real ones and animated ones alike."""


def _face_masks() -> tuple[Mask, Mask]:
    """The face above the mouth, and below the eyes: an action that was missed changes only one of them."""
    rows, columns = np.mgrid[:CHIP_SIDE, :CHIP_SIDE] / CHIP_SIDE
    face = ((columns - 0.5) / 0.40) ** 2 + ((rows - 0.52) / 0.46) ** 2 < 1
    return face & (rows < _NOSE_BASE), face & (rows > _CHEEKS)


_MASKS = _face_masks()


def choose_moments(frames: tuple[MeasuredFrame, ...], at_rest: tuple[int, ...]) -> tuple[int, int] | None:
    """The first frame at rest and the last one that looks the same way. None without two such frames."""
    resting = [frame for frame in frames if frame.index in at_rest]
    if not resting:
        return None
    first = resting[0]
    alike = [
        frame.index
        for frame in resting[1:]
        if abs(frame.expression.turn - first.expression.turn) <= _MAX_TURN
    ]
    return (first.index, alike[-1]) if alike else None


def cut_chip(picture: Picture, box: Box, contours: Contours) -> Chip:
    """The grey face, aligned by the corners of the eyes."""
    decoded = picture.grey_for_face(box.width)
    one, other = (_midpoint(eye, decoded.factor) for eye in (contours.left_eye, contours.right_eye))
    across = (other.x - one.x, other.y - one.y)
    scale = math.hypot(*across) / (_EYES_APART * CHIP_SIDE) or 1.0
    cos, sin = across[0] / (_EYES_APART * CHIP_SIDE), across[1] / (_EYES_APART * CHIP_SIDE)
    column, row = CHIP_SIDE / 2, _EYE_ROW * CHIP_SIDE
    left = (one.x + other.x) / 2 - cos * column + sin * row
    top = (one.y + other.y) / 2 - sin * column - cos * row
    around = 0.75 * CHIP_SIDE * scale
    middle_x, middle_y = left + (cos - sin) * CHIP_SIDE / 2, top + (sin + cos) * CHIP_SIDE / 2
    cut_left, cut_top = max(0, int(middle_x - around)), max(0, int(middle_y - around))
    cut = decoded.pixels[cut_top : int(middle_y + around) + 1, cut_left : int(middle_x + around) + 1]
    reduction = max(1, int(scale))
    image = Image.fromarray(np.ascontiguousarray(cut)).reduce(reduction)
    matrix = (cos, -sin, left - cut_left, sin, cos, top - cut_top)
    chip = image.transform(
        (CHIP_SIDE, CHIP_SIDE),
        Image.Transform.AFFINE,
        tuple(value / reduction for value in matrix),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(chip, dtype=np.float32)


def measure_change(first: Chip, last: Chip) -> float:
    """The unexplained share of the less changed part of the face: near 0 for one picture moved, 0.01 to 0.5 for people."""
    warped = warp_onto(first, last)
    return min(unexplained_share(warped, last, mask) for mask in _MASKS)


def _midpoint(eye: tuple[Point, ...], factor: float) -> Point:
    one, other = eye[0], eye[len(eye) // 2]
    return Point((one.x + other.x) / 2 / factor, (one.y + other.y) / 2 / factor)

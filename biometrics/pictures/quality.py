"""Face image quality: measures whether a face is usable, and tells the student what to improve.

Measured on the largest face, cropped and scaled to 150 pixels so that the figures do not depend on the camera. Sharpness
is the variance of the Laplacian (Pech-Pacheco et al., 2000).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from biometrics.engines.base import Box, DetectedFace, Point
from biometrics.pictures.decoding import WORKING_SIDE, Picture

_CHIP_SIDE = 150
_DARKEST, _BRIGHTEST = 5, 250
"""Grey levels beyond which a pixel shows no detail."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a picture or a burst cannot be judged: a stable code, and what the student should do."""

    code: str
    zh: str
    en: str


NO_FACE = Reason(
    "no_face",
    "没有找到人脸。请正对镜头，露出整张脸。",
    "No face was found. Face the camera, show your whole face.",
)
SECOND_FACE = Reason(
    "second_face",
    "画面中还有其他人。请独自入镜。",
    "Another person is in the picture. Be alone in front of the camera.",
)
FACE_TOO_SMALL = Reason(
    "face_too_small", "人脸太小。请靠近镜头。", "The face is too small. Come closer to the camera."
)
BLURRED = Reason(
    "blurred",
    "照片模糊。请擦净镜头，拿稳手机再拍。",
    "The picture is blurred. Clean the lens, hold the phone still.",
)
TOO_DARK = Reason("too_dark", "光线太暗。请到明亮处再拍。", "It is too dark. Go where there is more light.")
TOO_BRIGHT = Reason(
    "too_bright", "光线太强。请避开直射光再拍。", "It is too bright. Step out of the direct light."
)
SATURATED = Reason(
    "saturated",
    "明暗反差过大。请避免逆光或强光再拍。",
    "The contrast is too hard. Avoid light from behind or straight ahead.",
)
TILTED = Reason(
    "tilted", "头部倾斜过大。请摆正头部和手机。", "The head is tilted too far. Hold head and phone upright."
)
TURNED = Reason(
    "turned", "脸部偏转过大。请正对镜头。", "The face is turned too far. Look straight into the camera."
)
SHOT_REPEATED = Reason(
    "shot_repeated",
    "这张与另一张是同一张照片。请每张都现场重新拍摄，并稍微转动头部。",
    "This is the same picture as another one. Take new pictures, and turn your head a little each time.",
)


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """Limits for a usable face. The defaults are those the shipped engine was measured with; policy may differ."""

    min_face_width_px: float = 50.0
    """At 50 pixels, match confidence is about half of that at full size."""
    min_sharpness: float = 15.0
    min_brightness: float = 25.0
    max_brightness: float = 225.0
    max_saturated_share: float = 0.6
    max_roll_deg: float = 30.0
    max_nose_offset: float = 0.25
    max_second_face_ratio: float = 0.42
    """Another person is refused from half the width of the first face on. Detectors give widths in steps of a fifth, so
    the measured ratio of such a face is 0.42 or more."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Measurements of the widest face in one image."""

    faces: int
    face_width_px: float
    sharpness: float
    """Variance of the Laplacian of the 150-pixel grey chip."""
    brightness: float
    """Mean grey level of the chip, 0 to 255."""
    saturated_share: float
    """Share of the chip's pixels that are nearly black or nearly white."""
    roll_deg: float
    """Angle of the eye axis to the horizontal."""
    nose_offset: float
    """Distance of the nose from the midpoint of the eyes, along the eye axis, in eye distances."""
    second_face_ratio: float
    """Width of the second face relative to the first; 0 if there is only one."""


def measure_quality(picture: Picture, faces: Sequence[DetectedFace]) -> Quality:
    """Measure the first (widest) of the given faces."""
    face = faces[0]
    chip = _grey_chip(picture, face.box)
    roll, offset = _pose(face)
    return Quality(
        faces=len(faces),
        face_width_px=face.box.width,
        sharpness=float(_laplacian(chip).var()),
        brightness=float(chip.mean()),
        saturated_share=float(((chip <= _DARKEST) | (chip >= _BRIGHTEST)).mean()),
        roll_deg=roll,
        nose_offset=offset,
        second_face_ratio=faces[1].box.width / face.box.width if len(faces) > 1 else 0.0,
    )


def check_quality(quality: Quality, limits: QualityLimits) -> tuple[Reason, ...]:
    """The reasons against this face; empty if it is usable."""
    checks = (
        (quality.second_face_ratio >= limits.max_second_face_ratio, SECOND_FACE),
        (quality.face_width_px < limits.min_face_width_px, FACE_TOO_SMALL),
        (quality.sharpness < limits.min_sharpness, BLURRED),
        (quality.brightness < limits.min_brightness, TOO_DARK),
        (quality.brightness > limits.max_brightness, TOO_BRIGHT),
        (quality.saturated_share > limits.max_saturated_share, SATURATED),
        (abs(quality.roll_deg) > limits.max_roll_deg, TILTED),
        (abs(quality.nose_offset) > limits.max_nose_offset, TURNED),
    )
    return tuple(reason for failed, reason in checks if failed)


def _grey_chip(picture: Picture, box: Box) -> npt.NDArray[np.float32]:
    """The face as 150 × 150 grey levels, from the small decoding if the face is large enough there."""
    decoded = picture.grey(WORKING_SIDE)
    if min(box.width, box.height) < _CHIP_SIDE * decoded.factor:
        decoded = picture.grey_for_face(box.width)
    height, width = decoded.pixels.shape[:2]
    left, top, right, bottom = (
        int(side / decoded.factor) for side in (box.left, box.top, box.right, box.bottom)
    )
    left, top = min(max(0, left), width - 1), min(max(0, top), height - 1)
    right, bottom = min(width, max(left + 1, right)), min(height, max(top + 1, bottom))
    chip = Image.fromarray(decoded.pixels[top:bottom, left:right]).convert("L")
    scaled = chip.resize((_CHIP_SIDE, _CHIP_SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(scaled, dtype=np.float32)


def _laplacian(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    edges: npt.NDArray[np.float32] = around - 4 * grey[1:-1, 1:-1]
    return edges


def _pose(face: DetectedFace) -> tuple[float, float]:
    """Roll in degrees and the nose's offset in eye distances, from the five landmarks."""
    left, right = _midpoint(*face.landmarks.left_eye), _midpoint(*face.landmarks.right_eye)
    dx, dy = right.x - left.x, right.y - left.y
    eye_distance = math.hypot(dx, dy)
    if eye_distance == 0:
        return 90.0, math.inf
    centre = _midpoint(left, right)
    nose = face.landmarks.nose
    along = ((nose.x - centre.x) * dx + (nose.y - centre.y) * dy) / eye_distance
    return math.degrees(math.atan2(dy, dx)), along / eye_distance


def _midpoint(one: Point, other: Point) -> Point:
    return Point((one.x + other.x) / 2, (one.y + other.y) / 2)

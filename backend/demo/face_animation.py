"""Animates a still photograph: it closes its eyes, opens its mouth and turns its head.

The photograph's 68 landmarks are moved and the triangles between them are warped. For a turn, each landmark has the depth
of an average head, so the nose moves further than the eyes. The demonstration and the tests need faces that perform a
challenge. That the result passes the check also proves that GENERATED PICTURES ARE NOT DETECTED: an attacker who can feed
software into the camera can do with one photograph what this module does (docs/biometrics.md).
"""

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from biometrics.engines.dlib_onnx import installed_models
from biometrics.engines.sface import SFaceEngine
from biometrics.liveness.actions import Action
from biometrics.liveness.landmark_model import Dlib68LandmarkModel, LandmarkPoints
from biometrics.pictures.decoding import Pixels, picture_from_pixels

PHONE = (720, 1280)
"""Width and height of a frame in pixels."""

_Values = npt.NDArray[np.float64]
_Floats = npt.NDArray[np.float32]

_DEPTHS = np.array(
    [
        *(-1.0, -0.95, -0.9, -0.8, -0.6, -0.35, -0.1, 0.05, 0.1, 0.05, -0.1, -0.35, -0.6, -0.8, -0.9, -0.95, -1.0),
        *(-0.15, 0.05, 0.15, 0.2, 0.25, 0.25, 0.2, 0.15, 0.05, -0.15),
        *(0.2, 0.35, 0.5, 0.65, 0.3, 0.38, 0.42, 0.38, 0.3),
        *(-0.05, 0.08, 0.1, 0.05, 0.08, 0.05, 0.05, 0.1, 0.08, -0.05, 0.05, 0.08),
        *(0.1, 0.25, 0.35, 0.38, 0.35, 0.25, 0.1, 0.22, 0.32, 0.34, 0.32, 0.22),
        *(0.1, 0.3, 0.33, 0.3, 0.1, 0.3, 0.33, 0.3),
    ]
)  # fmt: skip
"""Depths of the landmarks (jaw, brows, nose, eyes, lips) towards the camera, in eye distances, with the plane of the eyes
near 0. An estimate for an average head, not a scan."""
_AXIS_DEPTH = -0.8
"""Depth of the rotation axis (the neck) in eye distances."""
_BROW_LIFT, _FOREHEAD = 0.9, ((-0.6, -0.2), (-0.2, 0.0), (0.2, 0.0), (0.6, -0.2))
"""Points above the brows in eye distances: height; sideways position and depth."""
_UNDER_BROWS, _UNDER = ((18, 37), (19, 38), (24, 43), (25, 44), (20, 38), (23, 43)), 0.3
"""Points between brow and lid, at this share of the distance, that stay fixed: a closing lid moves only the skin below."""
_RING, _RING_POINTS = 2.3, 20
"""Nothing outside this circle around the nose moves."""
_LIPS_APART_PX = 1.5
"""Closed lips share their landmarks, but triangles need some space between them."""
_OPEN_MOUTH, _OPEN_JAW = 0.56, 0.46
_INNER_LIPS = slice(60, 68)
_LIDS_MEET, _LASHES = 0.6, 0.06
"""How far the upper lid moves towards the lower one, and the thickness of the lashes in eye distances. Found by trial for
the landmark model to report closed eyes; it also misses many eyes that are really closed (docs/biometrics.md)."""
_TURN_DEGREES = 28.0
_STRAIGHTENED_DEGREES = 14.0
"""The maximum correction for a photograph that does not look straight ahead."""
_NOSE_BEFORE_EYES = 0.37
"""Depth of the base of the nose, in eye distances."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Facial actions (0 to 1 each), turn in degrees to the person's left, and the position of the hand-held phone."""

    eyes_closed: float = 0.0
    mouth_open: float = 0.0
    turned: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0
    roll: float = 0.0
    light: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Factors by which the light of the screen multiplies the face's red, green and blue."""


ACTION_POSES = {
    Action.CLOSE_EYES: Pose(eyes_closed=1.0),
    Action.OPEN_MOUTH: Pose(mouth_open=1.0),
    Action.TURN_LEFT: Pose(turned=_TURN_DEGREES),
    Action.TURN_RIGHT: Pose(turned=-_TURN_DEGREES),
}


@cache
def _models() -> tuple[SFaceEngine, Dlib68LandmarkModel]:
    return SFaceEngine(), Dlib68LandmarkModel(installed_models())


class NoFaceToAnimate(ValueError):
    """The shipped engine finds no face in the photograph."""


class FaceAnimator:
    """One photograph on a canvas of a phone's size, ready to be animated. Uses the 68-point model: tests and demo only."""

    def __init__(self, photograph: bytes, size: tuple[int, int] = PHONE) -> None:
        self._still = np.asarray(place_on_canvas(photograph, size))
        picture = picture_from_pixels(self._still)
        engine, model = _models()
        faces = engine.detect(picture)
        if not faces:
            raise NoFaceToAnimate
        self._marks = _part_lips(model.locate_points(self._still, faces[0].box))
        eyes = np.stack([self._marks[36:42].mean(axis=0), self._marks[42:48].mean(axis=0)])
        self._middle, across = eyes.mean(axis=0), eyes[1] - eyes[0]
        self._unit = float(np.linalg.norm(across))
        along = across / self._unit
        self._axes = np.stack([along, (-along[1], along[0])])
        self._points, self._depths = self._add_fixed_points()
        self._triangles = _delaunay(self._points)
        aside = float((self._marks[33] - self._middle) @ self._axes[0]) / self._unit
        straight = -float(np.degrees(np.arctan(aside / _NOSE_BEFORE_EYES)))
        self._straight = min(_STRAIGHTENED_DEGREES, max(-_STRAIGHTENED_DEGREES, straight))

    def frame(self, pose: Pose, noise_seed: int, quality: int = 90) -> bytes:
        """A JPEG of the pose. `noise_seed` determines the sensor noise."""
        pixels = self._warp(pose).astype(np.float32)
        if pose.light != (1.0, 1.0, 1.0):
            pixels *= self._screen_light(pixels.shape, pose)
        moved = move_in_hand(
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), pose, tuple(self._middle)
        )
        noise = 2 * np.random.default_rng(noise_seed).standard_normal((*pixels.shape[:2], 1), np.float32)
        buffer = io.BytesIO()
        noisy = np.clip(np.asarray(moved) + noise, 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(buffer, "JPEG", quality=quality)
        return buffer.getvalue()

    def still_frame(self, noise_seed: int) -> bytes:
        """A JPEG of the photograph on its canvas, not animated."""
        buffer = io.BytesIO()
        noise = 2 * np.random.default_rng(noise_seed).standard_normal((*self._still.shape[:2], 1), np.float32)
        noisy = np.clip(self._still + noise, 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(buffer, "JPEG", quality=90)
        return buffer.getvalue()

    def _add_fixed_points(self) -> tuple[_Values, _Values]:
        """Landmarks, forehead points and a fixed ring around the face, with their depths (nan: does not move)."""
        forehead = np.array([(x, -_BROW_LIFT) for x, _ in _FOREHEAD]) * self._unit @ self._axes + self._middle
        angles = np.linspace(0, 2 * np.pi, _RING_POINTS, endpoint=False)
        circle = np.stack([np.cos(angles), np.sin(angles)], axis=1) * _RING * self._unit
        ring = circle + self._middle + np.array([0.0, 0.5]) * self._unit @ self._axes
        brows, lids = (list(each) for each in zip(*_UNDER_BROWS, strict=True))
        under = self._marks[brows] * (1 - _UNDER) + self._marks[lids] * _UNDER
        depths = [
            *_DEPTHS,
            *(_DEPTHS[brows] + _DEPTHS[lids]) / 2,
            *(depth for _, depth in _FOREHEAD),
            *[np.nan] * _RING_POINTS,
        ]
        return np.concatenate([self._marks, under, forehead, ring]), np.array(depths)

    def _pose_points(self, pose: Pose) -> _Values:
        """The target positions of all points: lids and lips first, then the turn of the head."""
        points = self._points.copy()
        for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
            gap = (self._points[lower] - self._points[upper]) * 0.97 * pose.eyes_closed
            points[upper] += gap * _LIDS_MEET
            points[lower] -= gap * (1 - _LIDS_MEET)
        for lower, upper, outer in ((65, 63, 56), (66, 62, 57), (67, 61, 58)):
            shut = (self._points[upper] - self._points[lower]) * 0.8
            points[lower] += shut
            points[outer] += shut
        down = self._axes[1] * self._unit * pose.mouth_open
        for lip in (55, 56, 57, 58, 59, 65, 66, 67):
            points[lip] += down * _OPEN_MOUTH
        for jaw, share in zip(range(4, 13), (0.4, 0.7, 0.9, 1, 1, 1, 0.9, 0.7, 0.4), strict=True):
            points[jaw] += down * _OPEN_JAW * share
        moving = ~np.isnan(self._depths)
        local = (points[moving] - self._middle) @ self._axes.T
        angle = np.radians(pose.turned + self._straight)
        depth = (self._depths[moving] - _AXIS_DEPTH) * self._unit
        local[:, 0] = local[:, 0] * np.cos(angle) + depth * np.sin(angle)
        local[:, 0] += _AXIS_DEPTH * self._unit * np.sin(angle) * 0.7  # the phone follows the turn a little
        points[moving] = local @ self._axes + self._middle
        return points

    def _warp(self, pose: Pose) -> Pixels:
        target = self._pose_points(pose)
        height, width = self._still.shape[:2]
        left, top = np.maximum(np.floor(self._points.min(axis=0)), 0).astype(int)
        right, bottom = np.minimum(np.ceil(self._points.max(axis=0)), (width, height)).astype(int)
        columns, rows = np.meshgrid(
            np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32)
        )
        for corners in self._triangles:
            _map_triangle(columns, rows, target[corners] - (left, top), self._points[corners])
        pixels = self._still.copy()
        pixels[top:bottom, left:right] = sample_bilinear(self._still, columns, rows)
        warped = Image.fromarray(pixels)
        if pose.eyes_closed > 0.5:
            self._draw_eyes(warped, target)
        if pose.mouth_open > 0.1:
            self._draw_mouth(warped, target)
        return np.asarray(warped)

    def _draw_eyes(self, warped: Image.Image, target: _Values) -> None:
        """Draw the lashes of closed eyes."""
        draw = ImageDraw.Draw(warped)
        for lashes in ((36, 41, 40, 39), (42, 47, 46, 45)):
            draw.line(
                [tuple(target[at]) for at in lashes], fill=(35, 28, 26), width=round(self._unit * _LASHES)
            )

    def _draw_mouth(self, warped: Image.Image, target: _Values) -> None:
        """Fill the open mouth with darkness."""
        hole = Image.new("L", warped.size)
        ImageDraw.Draw(hole).polygon([tuple(point) for point in target[_INNER_LIPS]], fill=255)
        dark = Image.new("RGB", warped.size, (45, 22, 24))
        warped.paste(dark, mask=hole.filter(ImageFilter.GaussianBlur(self._unit * 0.01)))

    def _screen_light(self, shape: tuple[int, ...], pose: Pose) -> npt.NDArray[np.float32]:
        """The light of the screen on the face, fading outwards."""
        rows, columns = np.mgrid[: shape[0], : shape[1]]
        away = np.hypot(columns - self._middle[0], rows - self._middle[1] - 0.5 * self._unit) / self._unit
        share = np.clip((_RING - away) / (_RING - 1.5), 0, 1)[..., None]
        light: npt.NDArray[np.float32] = 1 + share * (np.array(pose.light) - 1)
        return light


def render_burst(puppet: FaceAnimator, plan: Sequence[Action | None], seed: int = 0) -> list[bytes]:
    """A JPEG for each entry of the plan (None: at rest), as from a slightly moving hand."""
    return [
        puppet.frame(pose, seed * 1000 + number) for number, pose in enumerate(add_hand_motion(plan, seed))
    ]


def add_hand_motion(plan: Sequence[Action | None], seed: int) -> list[Pose]:
    """The poses of a plan, each slightly shifted, scaled and rotated."""
    hand = random.Random(seed)  # noqa: S311 - simulates a trembling hand
    poses = [Pose() if action is None else ACTION_POSES[action] for action in plan]
    return [
        replace(
            pose,
            shift=(hand.gauss(0, 5), hand.gauss(0, 5)),
            scale=hand.gauss(1, 0.01),
            roll=hand.gauss(0, 1.2),
            turned=pose.turned + hand.gauss(0, 1),
        )
        for pose in poses
    ]


def place_on_canvas(photograph: bytes, size: tuple[int, int]) -> Image.Image:
    """The photograph on a plain background, at nine tenths of the width of a phone's picture."""
    with Image.open(io.BytesIO(photograph)) as opened:
        still = opened.convert("RGB")
    factor = size[0] * 0.9 / still.width
    still = still.resize(
        (round(still.width * factor), round(still.height * factor)), Image.Resampling.BICUBIC
    )
    canvas = Image.new("RGB", size, (120, 128, 130))
    canvas.paste(still, ((size[0] - still.width) // 2, (size[1] - still.height) // 2))
    return canvas


def _part_lips(marks: LandmarkPoints) -> LandmarkPoints:
    """Move the inner lips at least a little apart."""
    parted = marks.copy()
    for upper, lower in ((61, 67), (62, 66), (63, 65)):
        parted[lower, 1] = max(parted[lower, 1], parted[upper, 1] + _LIPS_APART_PX)
    return parted


def move_in_hand(image: Image.Image, pose: Pose, centre: tuple[float, ...]) -> Image.Image:
    """Shift, scale and rotate the image around the face, as a hand-held phone does."""
    angle = np.radians(pose.roll)
    cos, sin = np.cos(angle) / pose.scale, np.sin(angle) / pose.scale
    x, y = centre[0] + pose.shift[0], centre[1] + pose.shift[1]
    back = (cos, sin, centre[0] - cos * x - sin * y, -sin, cos, centre[1] + sin * x - cos * y)
    return image.transform(
        image.size, Image.Transform.AFFINE, back, Image.Resampling.BICUBIC, fillcolor=(120, 128, 130)
    )


def _map_triangle(columns: _Floats, rows: _Floats, target: _Values, source: _Values) -> None:
    """For each pixel of the target triangle, write its source position."""
    height, width = columns.shape
    left, top = np.maximum(np.floor(target.min(axis=0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(target.max(axis=0)) + 1, (width, height)).astype(int)
    edges = np.stack([target[1] - target[0], target[2] - target[0]], axis=1)
    if right <= left or bottom <= top or abs(np.linalg.det(edges)) < 1e-6:
        return
    y, x = np.mgrid[top:bottom, left:right]
    shares = np.einsum("ij,jhw->ihw", np.linalg.inv(edges), np.stack([x - target[0, 0], y - target[0, 1]]))
    inside = (shares >= -1e-6).all(axis=0) & (shares.sum(axis=0) <= 1 + 1e-6)
    come = (
        source[0, :, None]
        + np.stack([source[1] - source[0], source[2] - source[0]], axis=1) @ shares[:, inside]
    )
    columns[top:bottom, left:right][inside], rows[top:bottom, left:right][inside] = come


def sample_bilinear(pixels: Pixels, columns: _Floats, rows: _Floats) -> Pixels:
    """Bilinear interpolation."""
    height, width = pixels.shape[:2]
    x, y = np.clip(columns, 0, width - 1.001), np.clip(rows, 0, height - 1.001)
    left, top = x.astype(int), y.astype(int)
    across, down = (x - left)[..., None].astype(np.float32), (y - top)[..., None].astype(np.float32)
    upper = pixels[top, left] * (1 - across) + pixels[top, left + 1] * across
    lower = pixels[top + 1, left] * (1 - across) + pixels[top + 1, left + 1] * across
    blended: Pixels = (upper * (1 - down) + lower * down).astype(np.uint8)
    return blended


def _delaunay(points: _Values) -> list[list[int]]:
    """Delaunay triangulation as index triples (Bowyer and Watson, 1981)."""
    size = float(np.ptp(points, axis=0).max()) * 20
    centre = points.mean(axis=0)
    far = centre + size * np.array([(-1.0, -1.0), (1.0, -1.0), (0.0, 1.5)])
    every = np.concatenate([points, far])
    count = len(points)
    triangles = {(count, count + 1, count + 2)}
    for at in range(count):
        bad = [corners for corners in triangles if _in_circle(every[list(corners)], every[at])]
        edges = [tuple(sorted(edge)) for a, b, c in bad for edge in ((a, b), (b, c), (c, a))]
        triangles.difference_update(bad)
        triangles.update((a, b, at) for a, b in edges if edges.count((a, b)) == 1)
    return [list(corners) for corners in triangles if max(corners) < count]


def _in_circle(corners: _Values, point: _Values) -> bool:
    """Whether the point is inside the circle through the corners, whatever their orientation."""
    rows = corners - point
    determinant = np.linalg.det(np.column_stack([rows, (rows**2).sum(axis=1)]))
    turn = np.linalg.det(np.stack([corners[1] - corners[0], corners[2] - corners[0]]))
    return bool(determinant * turn > 0)

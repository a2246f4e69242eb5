"""Animated photographs made in other ways than the demonstration's: without landmarks, and with drawn teeth and lids."""

import io
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from backend.demo.face_animation import (
    FaceAnimator,
    NoFaceToAnimate,
    Pose,
    move_in_hand,
    place_on_canvas,
    sample_bilinear,
)
from biometrics.engines.base import Box
from biometrics.engines.sface import SFaceEngine
from biometrics.pictures.decoding import Pixels, picture_from_pixels

_Values = npt.NDArray[np.float32]

_EYES, _EYE_ROW, _EYE_SIZE = (0.27, 0.73), 0.27, (0.13, 0.06)
"""Usual places in a detector's box, as shares of its width and height: the eyes and half their size …"""
_MOUTH_ROW, _MOUTH_SIZE, _JAW_DROP = 0.80, (0.19, 0.14), 0.16
"""… and the mouth. That is all a warp without landmarks knows."""
_NOSE, _NOSE_SPREAD = (0.5, 0.55), 0.14
_TEETH, _TONGUE, _GAP = (228, 222, 210), (150, 70, 72), (52, 22, 24)
_LID_SHADE = 0.93
_TURN_SHADE = 0.18
"""How much darker the averted side of a turned face is drawn at the edge."""


@cache
def _detector() -> SFaceEngine:
    return SFaceEngine()


class WarpWithoutLandmarks:
    """A photograph moved by smooth fields (the kind that optical flow or a mesh gives) placed by the detector's box only."""

    def __init__(self, photograph: bytes, size: tuple[int, int]) -> None:
        self._still = np.asarray(place_on_canvas(photograph, size))
        faces = _detector().detect(picture_from_pixels(self._still))
        if not faces:
            raise NoFaceToAnimate
        self._box = faces[0].box

    def frame(self, pose: Pose, noise_seed: int) -> bytes:
        """A JPEG of the pose."""
        height, width = self._still.shape[:2]
        rows, columns = (axis.astype(np.float32) for axis in np.mgrid[:height, :width])
        moved = sample_bilinear(self._still, *self._sources(columns, rows, pose))
        image = Image.fromarray(moved)
        if pose.mouth_open > 0.1:
            self._draw_mouth(image, pose)
        centre = ((self._box.left + self._box.right) / 2, (self._box.top + self._box.bottom) / 2)
        return noisy_jpeg(np.asarray(move_in_hand(image, pose, centre)), noise_seed)

    def _sources(self, columns: _Values, rows: _Values, pose: Pose) -> tuple[_Values, _Values]:
        """For each pixel of the frame, the position in the photograph."""
        box: Box = self._box
        x, y = (columns - box.left) / box.width, (rows - box.top) / box.height
        from_x, from_y = x.copy(), y.copy()
        if pose.turned:
            round_head = np.sqrt(np.clip(1 - ((x - 0.5) / 0.62) ** 2 - ((y - 0.5) / 0.85) ** 2, 0, 1))
            nose = np.exp(-(((x - _NOSE[0]) / _NOSE_SPREAD) ** 2) - ((y - _NOSE[1]) / 0.2) ** 2)
            from_x -= np.sin(np.radians(pose.turned)) * (0.30 * round_head + 0.16 * nose)
        if pose.mouth_open:
            below = np.clip((y - _MOUTH_ROW) / 0.02, 0, 1) * np.clip((1.35 - y) / 0.25, 0, 1)
            beside = np.clip(1.25 - np.abs(x - 0.5) / 0.5, 0, 1)
            from_y -= pose.mouth_open * _JAW_DROP * below * np.minimum(1, 2 * beside)
        for eye in _EYES if pose.eyes_closed else ():
            inside = ((x - eye) / _EYE_SIZE[0]) ** 2 + ((y - _EYE_ROW) / _EYE_SIZE[1]) ** 2
            from_y -= pose.eyes_closed * 2 * _EYE_SIZE[1] * np.clip(1.6 - inside, 0, 1)
        return from_x * box.width + box.left, from_y * box.height + box.top

    def _draw_mouth(self, image: Image.Image, pose: Pose) -> None:
        box = self._box
        x, top = box.left + 0.5 * box.width, box.top + _MOUTH_ROW * box.height
        half, deep = _MOUTH_SIZE[0] * box.width * 0.7, pose.mouth_open * _JAW_DROP * box.height
        ImageDraw.Draw(image).ellipse((x - half, top, x + half, top + deep), fill=_GAP)


class DrawnFaceAnimator(FaceAnimator):
    """The animated photograph with what a generator would add: teeth, tongue, lids of skin, and shade on a turned head."""

    def _draw_eyes(self, warped: Image.Image, target: npt.NDArray[np.float64]) -> None:
        pixels = np.asarray(warped)
        for lid, lashes in (
            ((36, 37, 38, 39, 40, 41), (36, 41, 40, 39)),
            ((42, 43, 44, 45, 46, 47), (42, 47, 46, 45)),
        ):
            outline = target[list(lid)]
            above = outline.mean(axis=0) - (0.0, 0.16 * self._unit)
            skin = pixels[int(above[1]) - 1 : int(above[1]) + 2, int(above[0]) - 3 : int(above[0]) + 4]
            tone = tuple(int(value) for value in skin.reshape(-1, 3).mean(axis=0) * _LID_SHADE)
            cover = Image.new("L", warped.size)
            ImageDraw.Draw(cover).polygon([tuple(point) for point in outline], fill=255)
            cover = cover.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.GaussianBlur(self._unit * 0.03))
            warped.paste(Image.new("RGB", warped.size, tone), mask=cover)
            ImageDraw.Draw(warped).line(
                [tuple(target[at] + (0, 0.03 * self._unit)) for at in lashes],
                fill=(40, 32, 30),
                width=max(1, round(self._unit * 0.045)),
            )

    def _draw_mouth(self, warped: Image.Image, target: npt.NDArray[np.float64]) -> None:
        inner = target[60:68]
        hole, inside = Image.new("L", warped.size), Image.new("RGB", warped.size, _GAP)
        ImageDraw.Draw(hole).polygon([tuple(point) for point in inner], fill=255)
        left, right = inner[0], inner[4]
        wide = float(right[0] - left[0])
        upper, lower = float(inner[1:4, 1].mean()), float(inner[5:8, 1].mean())
        draw = ImageDraw.Draw(inside)
        draw.ellipse(
            (
                left[0] + 0.2 * wide,
                lower - 0.45 * (lower - upper),
                right[0] - 0.2 * wide,
                lower + 0.3 * (lower - upper),
            ),
            fill=_TONGUE,
        )
        for tooth in range(6):
            at = left[0] + wide * (0.2 + 0.1 * tooth)
            draw.rounded_rectangle(
                (at, upper - 2, at + 0.094 * wide, upper + 0.26 * (lower - upper)), 2, fill=_TEETH
            )
        warped.paste(
            inside.filter(ImageFilter.GaussianBlur(self._unit * 0.012)),
            mask=hole.filter(ImageFilter.GaussianBlur(self._unit * 0.01)),
        )

    def _warp(self, pose: Pose) -> Pixels:
        pixels = super()._warp(pose)
        if not pose.turned:
            return pixels
        rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
        side = (columns - self._middle[0]) / (1.3 * self._unit) * np.sign(pose.turned)
        shade = 1 - _TURN_SHADE * np.clip(side, 0, 1) * (np.abs(rows - self._middle[1]) < 2 * self._unit)
        shaded: Pixels = (pixels * shade[..., None]).astype(np.uint8)
        return shaded


def noisy_jpeg(pixels: Pixels, noise_seed: int, *, sigma: float = 2.0, quality: int = 90) -> bytes:
    """A JPEG with sensor noise of `sigma` grey levels."""
    noise = sigma * np.random.default_rng(noise_seed).standard_normal((*pixels.shape[:2], 1), np.float32)
    buffer = io.BytesIO()
    Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()

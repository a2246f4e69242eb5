"""Landmark models that locate the contours of eyes, mouth and nose, on which the actions of a challenge are measured.

The shipped model is dlib's 68-point shape predictor from the package `face_recognition_models`. It was trained on the
300-W set, whose licence excludes commercial use. An operator who may not use it passes another LandmarkModel to the
engine, or None. Without a model no action can be measured, and students are checked in person.
"""

import threading
from pathlib import Path
from typing import Protocol

import dlib
import numpy as np
import numpy.typing as npt
from PIL import Image

from biometrics.engines.base import Box, Contours, Point
from biometrics.pictures.decoding import FACE_WIDTH, Grey, Picture, Pixels

LandmarkPoints = npt.NDArray[np.float64]
"""The 68 points of the Multi-PIE mark-up, shape (68, 2), x and y in pixels."""

SHAPE_68 = "shape_predictor_68_face_landmarks.dat"


_MARGIN = 0.35
"""Share of a box around it that is cut out with it: the model looks at pixels a little outside of the face."""


class LandmarkModel(Protocol):
    """Locates contours in an upright RGB or grey image. Positions are pixels of that image."""

    name: str
    """Model and licence, for display to an operator."""

    def locate_contours(self, pixels: Pixels | Grey, box: Box) -> Contours:
        """The outlines of the face in `box`."""
        ...


def find_contours(model: LandmarkModel, picture: Picture, box: Box) -> Contours:
    """The outlines of the face in `box`, in pixels of the original, from a decoding no finer than needed.

    dlib rounds landmarks to whole pixels. Where the face is narrower than `FACE_WIDTH` in the decoding, it is cut out and
    enlarged first, which is cheaper than a finer decoding.
    """
    decoded = picture.grey_for_face(box.width)
    inside = box.scaled(1 / decoded.factor)
    if inside.width >= FACE_WIDTH:
        return model.locate_contours(decoded.pixels, inside).scaled(decoded.factor)
    around, step = inside.grown(_MARGIN), inside.width / FACE_WIDTH
    cut = Image.fromarray(decoded.pixels).transform(
        (round(around.width / step), round(around.height / step)),
        Image.Transform.EXTENT,
        (around.left, around.top, around.right, around.bottom),
        Image.Resampling.BILINEAR,
    )
    found = model.locate_contours(np.asarray(cut), inside.moved(-around.left, -around.top).scaled(1 / step))
    return found.scaled(step).moved(around.left, around.top).scaled(decoded.factor)


class Dlib68LandmarkModel:
    """dlib's 68-point model. The file of 100 MB is loaded at the first use."""

    name = "dlib 68-point shape predictor, trained on 300-W: no commercial use"

    def __init__(self, models: Path) -> None:
        self._file = models / SHAPE_68
        self._lock = threading.Lock()
        self._predictor: dlib.shape_predictor | None = None

    def locate_contours(self, pixels: Pixels | Grey, box: Box) -> Contours:
        return select_contours(self.locate_points(pixels, box))

    def locate_points(self, pixels: Pixels | Grey, box: Box) -> LandmarkPoints:
        """All 68 points in the order of the mark-up."""
        with self._lock:
            if self._predictor is None:
                self._predictor = dlib.shape_predictor(str(self._file))
        where = dlib.rectangle(*(round(side) for side in (box.left, box.top, box.right, box.bottom)))
        shape = self._predictor(pixels, where)
        return np.array([(part.x, part.y) for part in shape.parts()], dtype=np.float64)


def select_contours(marks: LandmarkPoints) -> Contours:
    """Select the required points: eyes 36–47, inner lips 60–67, nose 27–35 with its base 33."""
    points = tuple(Point(float(x), float(y)) for x, y in marks)
    corners = (points[36], points[39], points[42], points[45])
    return Contours(
        left_eye=points[36:42],
        right_eye=points[42:48],
        mouth=points[60:68],
        nose=points[33],
        rigid=(*corners, *points[27:36]),
    )

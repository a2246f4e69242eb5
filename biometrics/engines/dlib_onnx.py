"""The shipped engine: dlib's HOG detector and 5-point alignment, dlib's ResNet computed by onnxruntime.

The weights come from the package `face_recognition_models`, read as files: importing the package would import
`pkg_resources`. The 5-point landmark model and the ResNet are public domain (Davis King); the package's 68-point model
(300-W, no commercial use) is used only where the engine is given it as a ContourModel. Descriptors are those of dlib within
1e-6 for the same chip; chips are cut from a picture decoded no larger than a chip needs, and each is embedded with its
mirror image and averaged.
"""

import hashlib
import importlib.util
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import dlib
import numpy as np
import numpy.typing as npt
import onnxruntime
from PIL import Image

from biometrics.engines.base import (
    Box,
    Contours,
    Descriptor,
    DetectedFace,
    EngineInfo,
    EngineKey,
    Landmarks,
    Metric,
    Point,
)
from biometrics.engines.dlib_weights import DIMENSION, read_resnet
from biometrics.engines.resnet_graph import CHIP_SIDE, INPUT, resnet_model
from biometrics.errors import EngineUnavailable
from biometrics.liveness.landmarks import ContourModel
from biometrics.pictures.decoding import Grey, Picture, Pixels

Chips = npt.NDArray[np.uint8]
"""Aligned RGB faces, shape (n, 150, 150, 3)."""

KEY = EngineKey("dlib-onnx", "1")
"""The version covers weights and pipeline: another alignment gives other descriptors, hence another version."""

_SHAPE_MODEL = "shape_predictor_5_face_landmarks.dat"
_RESNET_MODEL = "dlib_face_recognition_resnet_model_v1.dat"
_UPRIGHT_PADDING, _MIRRORED_PADDING = 0.20, 0.23
"""How much is shown around the face, as a share of its size, in the chip and in the mirrored one. dlib's own is 0.25 for
both: a closer view told East Asian faces better apart, two different ones better than the same twice."""
_DETECTION_SIDES = (200, 320, 480)
"""Short sides tried in turn; the detector's window is 80 pixels, so 200 sees a face of two fifths of the width."""
_UPSAMPLED_SIDE = 960
"""The last try, for small pictures and small faces; larger pictures are searched at this size, not above."""
_THOROUGH_FROM = 320
"""An enrolment starts here: the step before once saw nothing but a face in the background."""
_FOLLOWED_WIDTH, _FOLLOWED_AROUND = 86.0, 0.28
"""A face known from the frame before is looked for at this width, this share of its width beyond each side of its box."""


class DlibOnnxEngine:
    """One detector, one landmark model and one network, used by one thread at a time.

    dlib releases the GIL but its detector keeps scratch state: shared by two threads it crashes the process. The lock
    makes sharing safe; parallel work belongs into processes (`biometrics.pool`).
    """

    def __init__(self, models: Path | None = None, contours: ContourModel | None = None) -> None:
        directory = models or installed_models()
        shape, resnet = directory / _SHAPE_MODEL, directory / _RESNET_MODEL
        for file in (shape, resnet):
            if not file.is_file():
                raise EngineUnavailable(engine=str(KEY), reason=f"{file.name} is missing")
        self._lock = threading.Lock()
        self._detector = dlib.get_frontal_face_detector()
        self._shape = dlib.shape_predictor(str(shape))
        self._contours = contours
        self._network = _session(resnet)
        self._info = EngineInfo(
            key=KEY,
            metric=Metric.L2,
            dimension=DIMENSION,
            licence="dlib: BSL-1.0; 5-point and ResNet weights: public domain (CC0)",
            weights_sha256=_digest(shape, resnet),
            contour_model="" if contours is None else contours.name,
        )

    def info(self) -> EngineInfo:
        return self._info

    def claims(self, picture: Picture) -> bool:  # noqa: ARG002 - the protocol's question; any picture may be a photograph
        return True

    def detect(self, picture: Picture, *, thorough: bool = False) -> list[DetectedFace]:
        """Faces at the first scale that shows any, the widest first; positions are those of the original."""
        with self._lock:
            return [self.marked(picture, *each) for each in self._searched(picture, thorough=thorough)]

    def follow(self, pictures: Sequence[Picture]) -> list[list[DetectedFace]]:
        """Boxes first and landmarks after, all in one go: a cold model costs twice its time, and decoding chills it."""
        boxes: list[list[tuple[Box, float]]] = []
        with self._lock:
            for picture in pictures:
                before = boxes[-1][:1] if boxes else []
                followed = [each for box, _ in before for each in self._followed(picture, box)[:1]]
                boxes.append(followed or self._searched(picture, thorough=False))
            return [
                [self.marked(picture, *each) for each in found]
                for picture, found in zip(pictures, boxes, strict=True)
            ]

    def contours(self, picture: Picture, face: DetectedFace) -> Contours | None:
        """By the model that the engine was given, in the decoding that its five landmarks were found in."""
        if self._contours is None:
            return None
        decoded = picture.showing(face.box.width)
        return self._contours.outline(decoded.pixels, face.box.scaled(1 / decoded.factor)).scaled(
            decoded.factor
        )

    def embed(
        self, found: Sequence[tuple[Picture, DetectedFace]], *, brief: bool = False
    ) -> list[Descriptor]:
        """The mean of each aligned chip's descriptor and its mirror image's, float32, not normalised."""
        if not found:
            return []
        if brief:
            computed = self.computed(self._chips(found, _UPRIGHT_PADDING), views=1)
        else:
            computed = self.computed(self.aligned(found))
        return [Descriptor(KEY, Metric.L2, vector) for vector in computed]

    def aligned(self, found: Sequence[tuple[Picture, DetectedFace]]) -> Chips:
        """The chips of all faces, then their mirror images: shape (2 n, 150, 150, 3)."""
        mirrored = self._chips(found, _MIRRORED_PADDING)
        return np.concatenate([self._chips(found, _UPRIGHT_PADDING), mirrored[:, :, ::-1]])

    def _chips(self, found: Sequence[tuple[Picture, DetectedFace]], padding: float) -> Chips:
        with self._lock:
            return np.stack([self._chip(picture, face, padding) for picture, face in found])

    def computed(self, chips: Chips, views: int = 2) -> npt.NDArray[np.float32]:
        """One forward pass for all chips; the mean of each face's `views` answers, shape (n, 128)."""
        batch = np.ascontiguousarray(chips.transpose(0, 3, 1, 2), dtype=np.float32)
        (raw,) = self._network.run(None, {INPUT: batch})
        averaged: npt.NDArray[np.float32] = raw.reshape(views, -1, DIMENSION).mean(axis=0)
        return averaged

    def _searched(self, picture: Picture, *, thorough: bool) -> list[tuple[Box, float]]:
        """Boxes at the first scale that shows any."""
        tried = (self._boxes(picture, side) for side in _sides(picture.short_side, thorough=thorough))
        return next(filter(None, tried), [])

    def _boxes(self, picture: Picture, side: int) -> list[tuple[Box, float]]:
        """Boxes in the original's pixels with the detector's scores, the widest first."""
        decoded = picture.grey(side)
        scaled = _resized(decoded.pixels, side)
        factor = picture.width / scaled.shape[1]
        rectangles, scores, _ = self._detector.run(scaled, 0, 0.0)
        found = [
            (
                Box(each.left() * factor, each.top() * factor, each.right() * factor, each.bottom() * factor),
                float(score),
            )
            for each, score in zip(rectangles, scores, strict=True)
        ]
        return sorted(found, key=lambda each: each[0].width, reverse=True)

    def _followed(self, picture: Picture, near: Box) -> list[tuple[Box, float]]:
        """Boxes around `near` alone, searched at the one scale that suits its width."""
        decoded = picture.grey(round(picture.short_side * min(1.0, _FOLLOWED_WIDTH / max(1.0, near.width))))
        height, width = decoded.pixels.shape
        around = near.grown(_FOLLOWED_AROUND).scaled(1 / decoded.factor)
        left, top = max(0, int(around.left)), max(0, int(around.top))
        right, bottom = min(width, int(around.right)), min(height, int(around.bottom))
        factor = _FOLLOWED_WIDTH / near.width * decoded.factor
        size = (round((right - left) * factor), round((bottom - top) * factor))
        if min(size) < _FOLLOWED_WIDTH:
            return []
        cut = Image.fromarray(decoded.pixels[top:bottom, left:right])
        rectangles, scores, _ = self._detector.run(
            np.asarray(cut.resize(size, Image.Resampling.BILINEAR)), 0, 0.0
        )
        found = [
            (
                Box(each.left(), each.top(), each.right(), each.bottom())
                .scaled(1 / factor)
                .moved(left, top)
                .scaled(decoded.factor),
                float(score),
            )
            for each, score in zip(rectangles, scores, strict=True)
        ]
        return sorted(found, key=lambda each: each[0].width, reverse=True)

    def marked(self, picture: Picture, box: Box, score: float) -> DetectedFace:
        """A box that some detector found, with the five landmarks in it."""
        decoded = picture.showing(box.width)
        shape = self._shape(decoded.pixels, _rectangle(box, decoded.factor))
        # dlib's order: outer and inner corner of the eye at the image's right, of the one at its left, nose base.
        points = [Point(part.x * decoded.factor, part.y * decoded.factor) for part in shape.parts()]
        marks = Landmarks(left_eye=(points[2], points[3]), right_eye=(points[0], points[1]), nose=points[4])
        return DetectedFace(box, marks, score)

    def _chip(self, picture: Picture, face: DetectedFace, padding: float) -> Pixels:
        decoded = picture.showing(face.box.width)
        marks, factor = face.landmarks, decoded.factor
        points = [
            dlib.point(round(point.x / factor), round(point.y / factor))
            for point in (*marks.right_eye, *marks.left_eye, marks.nose)
        ]
        shape = dlib.full_object_detection(_rectangle(face.box, factor), points)
        chip: Pixels = dlib.get_face_chip(decoded.pixels, shape, size=CHIP_SIDE, padding=padding)
        return chip


def installed_models() -> Path:
    """The directory of the weights inside the installed package; raises EngineUnavailable."""
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise EngineUnavailable(engine=str(KEY), reason="face_recognition_models is not installed")
    return Path(spec.submodule_search_locations[0]) / "models"


def _session(resnet: Path) -> onnxruntime.InferenceSession:
    """One thread: parallel work is done by processes, each with a network of its own."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        resnet_model(read_resnet(resnet)), options, providers=["CPUExecutionProvider"]
    )


@cache
def _digest(*files: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _sides(short_side: int, *, thorough: bool) -> list[int]:
    """Short sides to search at, small ones first; a small picture is enlarged once at the end."""
    first = _THOROUGH_FROM if thorough else _DETECTION_SIDES[0]
    steps = [side for side in _DETECTION_SIDES if first <= side <= short_side]
    return [*steps, _UPSAMPLED_SIDE if short_side >= _DETECTION_SIDES[-1] else 2 * short_side]


def _resized(grey: Grey, short_side: int) -> Grey:
    height, width = grey.shape
    factor = short_side / min(height, width)
    if factor == 1:
        return grey
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR))


def _rectangle(box: Box, factor: float) -> dlib.rectangle:
    return dlib.rectangle(*(round(side / factor) for side in (box.left, box.top, box.right, box.bottom)))

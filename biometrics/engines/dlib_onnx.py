"""dlib's HOG detector and 5-point alignment, with dlib's ResNet computed by onnxruntime; for templates made before SFace.

The weights are files of the package `face_recognition_models`. The package itself is not imported, because that would
import `pkg_resources`. The 5-point landmark model and the ResNet are public domain (Davis King); the package's 68-point
model (300-W, no commercial use) is used only if the engine is given it as a LandmarkModel. Descriptors equal dlib's
within 1e-6 for the same chip. Chips are cut from a picture decoded no larger than a chip needs; each descriptor is the
mean over a chip and its mirror image.
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
    EmbeddingUse,
    EngineInfo,
    EngineKey,
    Landmarks,
    Metric,
    Point,
)
from biometrics.engines.dlib_weights import DIMENSION, read_resnet
from biometrics.engines.onnx_session import single_threaded_session
from biometrics.engines.resnet_graph import CHIP_SIDE, INPUT, resnet_model
from biometrics.errors import EngineUnavailable
from biometrics.liveness.landmark_model import LandmarkModel, find_contours
from biometrics.pictures.decoding import Grey, Picture, Pixels

Chips = npt.NDArray[np.uint8]
"""Aligned RGB faces, shape (n, 150, 150, 3)."""

KEY = EngineKey("dlib-onnx", "1")
"""The version covers weights and pipeline: a different alignment gives different descriptors and needs a new version."""

_SHAPE_MODEL = "shape_predictor_5_face_landmarks.dat"
_RESNET_MODEL = "dlib_face_recognition_resnet_model_v1.dat"
_UPRIGHT_PADDING, _MIRRORED_PADDING = 0.20, 0.23
"""Margin around the face in the chip and in the mirrored chip, as a share of the face's size. dlib uses 0.25 for both. A
closer crop separated East Asian faces better, and two different crops did better than the same crop twice."""
_DETECTION_SIDES = (200, 320, 480)
"""Short sides to search at, in this order. The detector's window is 80 pixels: at 200 it finds a face of 2/5 the width."""
_UPSAMPLED_SIDE = 960
"""The last scale, for small pictures and small faces. Larger pictures are scaled down to it."""
_THOROUGH_MIN_SIDE = 320
"""Enrolment starts at this scale: at the smaller one, only a face in the background was once detected."""
_SECOND_FACE_SHARE, _SECOND_FACE_PX = 0.5, 100.0
"""Once a face is found, faces of half its width are searched for at the scale where they are 100 pixels wide: at the
detector's window of 80 it missed every third."""
_MAX_OVERLAP = 0.3
"""A box that shares more of its area with a found face is that face again."""
_TRACKED_WIDTH, _TRACKED_MARGIN = 86.0, 0.28
"""A tracked face is searched for at this width, within its previous box grown by this share of its width on each side."""


class DlibOnnxEngine:
    """One detector, one landmark model and one network. A lock serialises the use of dlib.

    dlib releases the GIL but its detector keeps scratch state, so concurrent use from two threads crashes the process.
    For parallel work use several processes (`biometrics.pool`).
    """

    def __init__(self, models: Path | None = None, landmark_model: LandmarkModel | None = None) -> None:
        directory = models or installed_models()
        shape, resnet = directory / _SHAPE_MODEL, directory / _RESNET_MODEL
        for file in (shape, resnet):
            if not file.is_file():
                raise EngineUnavailable(engine=str(KEY), reason=f"{file.name} is missing")
        self._lock = threading.Lock()
        self._detector = dlib.get_frontal_face_detector()
        self._shape = dlib.shape_predictor(str(shape))
        self._landmark_model = landmark_model
        self._session: onnxruntime.InferenceSession | None = None
        self._resnet = resnet
        self._info = EngineInfo(
            key=KEY,
            metric=Metric.L2,
            dimension=DIMENSION,
            licence="dlib: BSL-1.0; 5-point and ResNet weights: public domain (CC0)",
            weights_sha256=_digest(shape, resnet),
            landmark_model="" if landmark_model is None else landmark_model.name,
        )

    def info(self) -> EngineInfo:
        return self._info

    def supports(self, picture: Picture) -> bool:  # noqa: ARG002 - part of the protocol; any picture may be a photograph
        return True

    def detect(self, picture: Picture, *, thorough: bool = False) -> list[DetectedFace]:
        """Detect faces at the first scale that shows any, widest first. Positions are those of the original.

        `thorough` also searches for other faces of at least half the width.
        """
        with self._lock:
            boxes = self._search(picture, thorough=thorough)
            if thorough:
                boxes = self._search_others(picture, boxes)
            return [self.locate_landmarks(picture, *each) for each in boxes]

    def track(self, pictures: Sequence[Picture]) -> list[list[DetectedFace]]:
        """Detect all boxes first, then all landmarks: decoding evicts the model from the CPU cache, which doubles its time.

        Only the first and the last frame are searched for other faces.
        """
        boxes: list[list[tuple[Box, float]]] = []
        with self._lock:
            for picture in pictures:
                previous = boxes[-1][:1] if boxes else []
                tracked = [near for box, _ in previous for near in self._search_near(picture, box)[:1]]
                boxes.append(tracked or self._search(picture, thorough=False))
            for index in {0, len(pictures) - 1} if pictures else ():
                boxes[index] = self._search_others(pictures[index], boxes[index])
            return [
                [self.locate_landmarks(picture, *box) for box in picture_boxes]
                for picture, picture_boxes in zip(pictures, boxes, strict=True)
            ]

    def find_contours(self, picture: Picture, face: DetectedFace) -> Contours | None:
        """Locate contours with the landmark model, if there is one."""
        if self._landmark_model is None:
            return None
        return find_contours(self._landmark_model, picture, face.box)

    def embed(
        self,
        faces: Sequence[tuple[Picture, DetectedFace]],
        *,
        use: EmbeddingUse = EmbeddingUse.TEMPLATE,  # noqa: ARG002 - every use gets both views
    ) -> list[Descriptor]:
        """The mean descriptor of each aligned chip and its mirror image, as float32, not normalised."""
        if not faces:
            return []
        return [Descriptor(KEY, Metric.L2, vector) for vector in self.compute_descriptors(self.align(faces))]

    def align(self, faces: Sequence[tuple[Picture, DetectedFace]]) -> Chips:
        """The chips of all faces followed by their mirror images, shape (2 n, 150, 150, 3)."""
        mirrored = self._cut_chips(faces, _MIRRORED_PADDING)
        return np.concatenate([self._cut_chips(faces, _UPRIGHT_PADDING), mirrored[:, :, ::-1]])

    def _cut_chips(self, faces: Sequence[tuple[Picture, DetectedFace]], padding: float) -> Chips:
        with self._lock:
            return np.stack([self._cut_chip(picture, face, padding) for picture, face in faces])

    def compute_descriptors(self, chips: Chips) -> npt.NDArray[np.float32]:
        """Run all chips in one forward pass and average the two results of each face, shape (n, 128)."""
        batch = np.ascontiguousarray(chips.transpose(0, 3, 1, 2), dtype=np.float32)
        (raw,) = self._network().run(None, {INPUT: batch})
        averaged: npt.NDArray[np.float32] = raw.reshape(2, -1, DIMENSION).mean(axis=0)
        return averaged

    def _network(self) -> onnxruntime.InferenceSession:
        """The network, loaded at its first use: a deployment without such templates never needs it."""
        if self._session is None:
            self._session = single_threaded_session(resnet_model(read_resnet(self._resnet)))
        return self._session

    def _search(self, picture: Picture, *, thorough: bool) -> list[tuple[Box, float]]:
        """Boxes at the first scale that shows any."""
        tried = (
            self._detect_boxes(picture, side) for side in _search_sides(picture.short_side, thorough=thorough)
        )
        return next(filter(None, tried), [])

    def _search_others(self, picture: Picture, found: list[tuple[Box, float]]) -> list[tuple[Box, float]]:
        """The found boxes with those of other faces that are at least about half as wide, widest first."""
        if not found:
            return found
        side = round(
            picture.short_side * _SECOND_FACE_PX / (_SECOND_FACE_SHARE * max(1.0, found[0][0].width))
        )
        others = [
            each
            for each in self._detect_boxes(picture, min(side, _UPSAMPLED_SIDE))
            if all(_overlap(each[0], box) < _MAX_OVERLAP for box, _ in found)
        ]
        return sorted([*found, *others], key=lambda each: each[0].width, reverse=True)

    def _detect_boxes(self, picture: Picture, side: int) -> list[tuple[Box, float]]:
        """Boxes in pixels of the original with the detector's scores, widest first."""
        decoded = picture.grey(side)
        scaled = _resize(decoded.pixels, side)
        factor = picture.width / scaled.shape[1]
        rectangles, scores, _ = self._detector.run(scaled, 0, 0.0)
        boxes = [
            (
                Box(each.left() * factor, each.top() * factor, each.right() * factor, each.bottom() * factor),
                float(score),
            )
            for each, score in zip(rectangles, scores, strict=True)
        ]
        return sorted(boxes, key=lambda each: each[0].width, reverse=True)

    def _search_near(self, picture: Picture, near: Box) -> list[tuple[Box, float]]:
        """Boxes around `near`, searched only at the scale that suits its width."""
        decoded = picture.grey(round(picture.short_side * min(1.0, _TRACKED_WIDTH / max(1.0, near.width))))
        height, width = decoded.pixels.shape
        around = near.grown(_TRACKED_MARGIN).scaled(1 / decoded.factor)
        left, top = max(0, int(around.left)), max(0, int(around.top))
        right, bottom = min(width, int(around.right)), min(height, int(around.bottom))
        factor = _TRACKED_WIDTH / near.width * decoded.factor
        size = (round((right - left) * factor), round((bottom - top) * factor))
        if min(size) < _TRACKED_WIDTH:
            return []
        cut = Image.fromarray(decoded.pixels[top:bottom, left:right])
        rectangles, scores, _ = self._detector.run(
            np.asarray(cut.resize(size, Image.Resampling.BILINEAR)), 0, 0.0
        )
        boxes = [
            (
                Box(each.left(), each.top(), each.right(), each.bottom())
                .scaled(1 / factor)
                .moved(left, top)
                .scaled(decoded.factor),
                float(score),
            )
            for each, score in zip(rectangles, scores, strict=True)
        ]
        return sorted(boxes, key=lambda each: each[0].width, reverse=True)

    def locate_landmarks(self, picture: Picture, box: Box, score: float) -> DetectedFace:
        """Locate the five landmarks in a box from any detector."""
        decoded = picture.rgb_for_face(box.width)
        shape = self._shape(decoded.pixels, _rectangle(box, decoded.factor))
        # dlib's order: outer and inner corner of the eye on the image's right, then of the eye on its left, nose base.
        points = [Point(part.x * decoded.factor, part.y * decoded.factor) for part in shape.parts()]
        marks = Landmarks(left_eye=(points[2], points[3]), right_eye=(points[0], points[1]), nose=points[4])
        return DetectedFace(box, marks, score)

    def _cut_chip(self, picture: Picture, face: DetectedFace, padding: float) -> Pixels:
        decoded = picture.rgb_for_face(face.box.width)
        marks, factor = face.landmarks, decoded.factor
        points = [
            dlib.point(round(point.x / factor), round(point.y / factor))
            for point in (*marks.right_eye, *marks.left_eye, marks.nose)
        ]
        shape = dlib.full_object_detection(_rectangle(face.box, factor), points)
        chip: Pixels = dlib.get_face_chip(decoded.pixels, shape, size=CHIP_SIDE, padding=padding)
        return chip


def installed_models() -> Path:
    """The weights directory inside the installed package. Raises EngineUnavailable."""
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise EngineUnavailable(engine=str(KEY), reason="face_recognition_models is not installed")
    return Path(spec.submodule_search_locations[0]) / "models"


@cache
def _digest(*files: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _search_sides(short_side: int, *, thorough: bool) -> list[int]:
    """Short sides to search at, smallest first. A small picture is upsampled once at the end."""
    first = _THOROUGH_MIN_SIDE if thorough else _DETECTION_SIDES[0]
    steps = [side for side in _DETECTION_SIDES if first <= side <= short_side]
    return [*steps, _UPSAMPLED_SIDE if short_side >= _DETECTION_SIDES[-1] else 2 * short_side]


def _resize(grey: Grey, short_side: int) -> Grey:
    height, width = grey.shape
    factor = short_side / min(height, width)
    if factor == 1:
        return grey
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR))


def _overlap(one: Box, other: Box) -> float:
    """The shared area of two boxes as a part of the smaller one."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    smaller = min(box.width * box.height for box in (one, other))
    return max(0.0, width) * max(0.0, height) / max(1.0, smaller)


def _rectangle(box: Box, factor: float) -> dlib.rectangle:
    return dlib.rectangle(*(round(side / factor) for side in (box.left, box.top, box.right, box.bottom)))

"""The shipped engine: dlib's HOG detector, 5-point alignment and the ResNet descriptor, mirror-averaged.

Weights come from the package `face_recognition_models`, read as files: importing the package would import
`pkg_resources`. The 5-point landmark model and the ResNet are public domain (Davis King); the package's
68-point model (300-W, no commercial use) is not used.
"""

import hashlib
import importlib.util
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import dlib
import numpy as np
from PIL import Image

from biometrics.engine import (
    Box,
    Descriptor,
    DetectedFace,
    EngineInfo,
    EngineKey,
    Landmarks,
    Metric,
    Pixels,
    Point,
)
from biometrics.errors import EngineUnavailable

KEY = EngineKey("dlib", "1")
"""The version covers weights and pipeline: another alignment gives other descriptors, hence another version."""

_SHAPE_MODEL = "shape_predictor_5_face_landmarks.dat"
_RESNET_MODEL = "dlib_face_recognition_resnet_model_v1.dat"
_DIMENSION = 128
_CHIP_SIDE, _CHIP_PADDING = 150, 0.25
_DETECTION_SIDES = (320, 480)
"""Short sides tried in turn; the detector's window is 80 pixels, so 320 sees a face a quarter of the width."""
_UPSAMPLED_SIDE = 960
"""The last try, for small pictures and small faces; larger pictures are searched at this size, not above."""


class DlibEngine:
    """One detector, one landmark model and one network, used by one thread at a time.

    dlib releases the GIL but its detector and network keep scratch state: shared by two threads they crash
    the process. The lock makes sharing safe; parallel work belongs into processes (`biometrics.pool`).
    """

    def __init__(self, models: Path | None = None) -> None:
        directory = models or installed_models()
        shape, resnet = directory / _SHAPE_MODEL, directory / _RESNET_MODEL
        for file in (shape, resnet):
            if not file.is_file():
                raise EngineUnavailable(engine=str(KEY), reason=f"{file.name} is missing")
        self._lock = threading.Lock()
        self._detector = dlib.get_frontal_face_detector()
        self._shape = dlib.shape_predictor(str(shape))
        self._resnet = dlib.face_recognition_model_v1(str(resnet))
        self._info = EngineInfo(
            key=KEY,
            metric=Metric.L2,
            dimension=_DIMENSION,
            licence="dlib: BSL-1.0; 5-point and ResNet weights: public domain (CC0)",
            weights_sha256=_digest(shape, resnet),
        )

    def info(self) -> EngineInfo:
        return self._info

    def claims(self, pixels: Pixels) -> bool:  # noqa: ARG002 - the protocol's question; a photograph is any picture
        return True

    def detect(self, pixels: Pixels) -> list[DetectedFace]:
        """Faces at the first scale that shows any, the widest first."""
        grey = Image.fromarray(pixels).convert("L")
        with self._lock:
            for side in _scales(min(grey.size)):
                faces = self._detect_at(grey, np.asarray(grey), side / min(grey.size))
                if faces:
                    return sorted(faces, key=lambda face: face.box.width, reverse=True)
        return []

    def embed(self, pixels: Pixels, faces: Sequence[DetectedFace]) -> list[Descriptor]:
        """The mean of each aligned chip's descriptor and its mirror image's, float32, not normalised."""
        if not faces:
            return []
        with self._lock:
            chips = [self._chip(pixels, face) for face in faces]
            batch = [image for chip in chips for image in (chip, np.ascontiguousarray(chip[:, ::-1]))]
            raw = np.asarray(self._resnet.compute_face_descriptor(batch), dtype=np.float64)
        means = raw.reshape(len(faces), 2, _DIMENSION).mean(axis=1).astype(np.float32)
        return [Descriptor(KEY, Metric.L2, vector) for vector in means]

    def _detect_at(self, grey: Image.Image, full: Pixels, scale: float) -> list[DetectedFace]:
        width, height = round(grey.width * scale), round(grey.height * scale)
        scaled = np.asarray(grey.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0))
        rectangles, scores, _ = self._detector.run(scaled, 0, 0.0)
        found = []
        for rectangle, score in zip(rectangles, scores, strict=True):
            box = dlib.rectangle(
                *(
                    round(side / scale)
                    for side in (rectangle.left(), rectangle.top(), rectangle.right(), rectangle.bottom())
                )
            )
            found.append(_face(box, self._shape(full, box), float(score)))
        return found

    def _chip(self, pixels: Pixels, face: DetectedFace) -> Pixels:
        chip: Pixels = dlib.get_face_chip(pixels, _shape_of(face), size=_CHIP_SIDE, padding=_CHIP_PADDING)
        return chip


def installed_models() -> Path:
    """The directory of the weights inside the installed package; raises EngineUnavailable."""
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


def _scales(short_side: int) -> list[int]:
    steps = [side for side in _DETECTION_SIDES if side <= short_side]
    return [*steps, _UPSAMPLED_SIDE if short_side >= _DETECTION_SIDES[-1] else 2 * short_side]


def _face(box: dlib.rectangle, shape: dlib.full_object_detection, score: float) -> DetectedFace:
    # dlib's order: outer and inner corner of the eye at the image's right, of the one at its left, nose base.
    points = [Point(float(part.x), float(part.y)) for part in shape.parts()]
    landmarks = Landmarks(left_eye=(points[2], points[3]), right_eye=(points[0], points[1]), nose=points[4])
    return DetectedFace(Box(box.left(), box.top(), box.right(), box.bottom()), landmarks, score)


def _shape_of(face: DetectedFace) -> dlib.full_object_detection:
    marks = face.landmarks
    box = dlib.rectangle(int(face.box.left), int(face.box.top), int(face.box.right), int(face.box.bottom))
    points = [*marks.right_eye, *marks.left_eye, marks.nose]
    return dlib.full_object_detection(box, [dlib.point(round(point.x), round(point.y)) for point in points])

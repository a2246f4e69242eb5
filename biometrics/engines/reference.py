"""The reference: the package `face_recognition` as its manual uses it. For parity tests and benchmarks, not for serving.

Importing the package loads its 68-point model, whose training data (300-W) exclude commercial use.
"""

import io
import warnings
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
import numpy.typing as npt

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
from biometrics.errors import EngineUnavailable
from biometrics.pictures.decoding import Picture

try:
    with warnings.catch_warnings(action="ignore"):  # pkg_resources announces its own end
        import face_recognition
except ImportError as missing:
    raise EngineUnavailable(engine="face-recognition", reason=str(missing)) from missing

KEY = EngineKey("face-recognition", version("face-recognition"))
_DIMENSION = 128


class ReferenceEngine:
    """Full-size RGB, HOG upsampled once, 5-point alignment, one descriptor, no mirror image."""

    def info(self) -> EngineInfo:
        return EngineInfo(
            key=KEY,
            metric=Metric.L2,
            dimension=_DIMENSION,
            licence="MIT; weights public domain but for the 68-point model (300-W: no commercial use)",
            weights_sha256="",
        )

    def describe(self, data: bytes) -> list[Descriptor]:
        """Every face of a picture in the package's own few lines, its own decoding included: what is compared with."""
        pixels = face_recognition.load_image_file(io.BytesIO(data))
        return _descriptors(face_recognition.face_encodings(pixels))

    def claims(self, picture: Picture) -> bool:  # noqa: ARG002 - any picture may be a photograph
        return True

    def detect(
        self,
        picture: Picture,
        *,
        thorough: bool = False,  # noqa: ARG002 - one way
    ) -> list[DetectedFace]:
        pixels = picture.rgb().pixels
        boxes = face_recognition.face_locations(pixels)
        marks = face_recognition.face_landmarks(pixels, boxes, model="small")
        faces = [
            DetectedFace(Box(left, top, right, bottom), _landmarks(points), 1.0)
            for (top, right, bottom, left), points in zip(boxes, marks, strict=True)
        ]
        return sorted(faces, key=lambda face: face.box.width, reverse=True)

    def follow(self, pictures: Sequence[Picture]) -> list[list[DetectedFace]]:
        return [self.detect(picture) for picture in pictures]

    def contours(self, picture: Picture, face: DetectedFace) -> Contours | None:  # noqa: ARG002 - only descriptors
        return None

    def embed(
        self,
        found: Sequence[tuple[Picture, DetectedFace]],
        *,
        brief: bool = False,  # noqa: ARG002 - one view
    ) -> list[Descriptor]:
        return _descriptors([_encoded(picture, face.box) for picture, face in found])


def _encoded(picture: Picture, box: Box) -> npt.NDArray[np.float64]:
    where = (int(box.top), int(box.right), int(box.bottom), int(box.left))
    encoding: npt.NDArray[np.float64] = face_recognition.face_encodings(picture.rgb().pixels, [where])[0]
    return encoding


def _descriptors(found: Sequence[npt.NDArray[np.float64]]) -> list[Descriptor]:
    return [Descriptor(KEY, Metric.L2, vector.astype(np.float32)) for vector in found]


def _landmarks(points: dict[str, list[tuple[int, int]]]) -> Landmarks:
    """The package names the eyes from the person's side; ours are the image's, outer corner first."""
    left, right = points["left_eye"], points["right_eye"]
    (nose,) = points["nose_tip"]
    return Landmarks((Point(*left[0]), Point(*left[1])), (Point(*right[0]), Point(*right[1])), Point(*nose))

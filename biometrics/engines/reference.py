"""The reference engine: the package `face_recognition` as in its manual. For parity tests and benchmarks only.

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
    EmbeddingUse,
    EngineInfo,
    EngineKey,
    Landmarks,
    Metric,
    Point,
)
from biometrics.errors import EngineUnavailable
from biometrics.pictures.decoding import Picture

try:
    with warnings.catch_warnings(action="ignore"):  # pkg_resources warns that it is deprecated
        import face_recognition
except ImportError as missing:
    raise EngineUnavailable(engine="face-recognition", reason=str(missing)) from missing

KEY = EngineKey("face-recognition", version("face-recognition"))
_DIMENSION = 128


class ReferenceEngine:
    """Full-size RGB, HOG upsampled once, 5-point alignment, one descriptor without a mirror image."""

    def info(self) -> EngineInfo:
        return EngineInfo(
            key=KEY,
            metric=Metric.L2,
            dimension=_DIMENSION,
            licence="MIT; weights public domain but for the 68-point model (300-W: no commercial use)",
            weights_sha256="",
        )

    def describe(self, data: bytes) -> list[Descriptor]:
        """Describe every face of a picture with the package's own functions, including its own decoding."""
        pixels = face_recognition.load_image_file(io.BytesIO(data))
        return _as_descriptors(face_recognition.face_encodings(pixels))

    def supports(self, picture: Picture) -> bool:  # noqa: ARG002 - part of the protocol; any picture may be a photograph
        return True

    def detect(
        self,
        picture: Picture,
        *,
        thorough: bool = False,  # noqa: ARG002 - the package has one mode
    ) -> list[DetectedFace]:
        pixels = picture.rgb().pixels
        boxes = face_recognition.face_locations(pixels)
        marks = face_recognition.face_landmarks(pixels, boxes, model="small")
        faces = [
            DetectedFace(Box(left, top, right, bottom), _as_landmarks(points), 1.0)
            for (top, right, bottom, left), points in zip(boxes, marks, strict=True)
        ]
        return sorted(faces, key=lambda face: face.box.width, reverse=True)

    def track(self, pictures: Sequence[Picture]) -> list[list[DetectedFace]]:
        return [self.detect(picture) for picture in pictures]

    def find_contours(self, picture: Picture, face: DetectedFace) -> Contours | None:  # noqa: ARG002 - not supported
        return None

    def embed(
        self,
        faces: Sequence[tuple[Picture, DetectedFace]],
        *,
        use: EmbeddingUse = EmbeddingUse.TEMPLATE,  # noqa: ARG002 - always one view
    ) -> list[Descriptor]:
        return _as_descriptors([_encode(picture, face.box) for picture, face in faces])


def _encode(picture: Picture, box: Box) -> npt.NDArray[np.float64]:
    where = (int(box.top), int(box.right), int(box.bottom), int(box.left))
    encoding: npt.NDArray[np.float64] = face_recognition.face_encodings(picture.rgb().pixels, [where])[0]
    return encoding


def _as_descriptors(encodings: Sequence[npt.NDArray[np.float64]]) -> list[Descriptor]:
    return [Descriptor(KEY, Metric.L2, vector.astype(np.float32)) for vector in encodings]


def _as_landmarks(points: dict[str, list[tuple[int, int]]]) -> Landmarks:
    """The package names the eyes from the person's point of view; we name them as seen in the image, outer corner first."""
    left, right = points["left_eye"], points["right_eye"]
    (nose,) = points["nose_tip"]
    return Landmarks((Point(*left[0]), Point(*left[1])), (Point(*right[0]), Point(*right[1])), Point(*nose))

"""The shipped engine: YuNet finds faces and five points, SFace computes 128 numbers from an aligned face.

SFace: Zhong, Deng, Hu, Zhao, Li and Wen, "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition", IEEE
Transactions on Image Processing, 2021. Weights and detector are those of the OpenCV Zoo (`model_files`), computed by
onnxruntime. A chip is 112 × 112 pixels; the five points go to the customary places of ArcFace. Descriptors have length
1, so their scalar product is the score and distances lie between 0 and 2.
"""

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from biometrics.engines.alignment import fit_similarity, named_points, sample_chip
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
from biometrics.engines.graph_rewriting import rewrite_for_onnxruntime
from biometrics.engines.model_files import SFACE, YUNET, read_model_file
from biometrics.engines.onnx_detector import Detection
from biometrics.engines.onnx_session import single_threaded_session
from biometrics.engines.yunet import YuNet
from biometrics.liveness.landmark_model import LandmarkModel, find_contours
from biometrics.pictures.decoding import CHIP_FACE_WIDTH, Picture, Pixels

Chips = npt.NDArray[np.uint8]
"""Aligned RGB faces, shape (n, 112, 112, 3)."""

KEY = EngineKey("sface", "1")
"""The version covers weights and pipeline: a different alignment gives different descriptors and needs a new version."""
DIMENSION, CHIP_SIDE = 128, 112
_INPUT, _OUTPUT = "data", "fc1"
_PLACES = {
    "left_eye": 38.2946 + 51.6963j,
    "right_eye": 73.5318 + 51.5014j,
    "nose": 56.0252 + 71.7366j,
    "mouth_left": 41.5493 + 92.3655j,
    "mouth_right": 70.7299 + 92.2041j,
}
"""Where the five points lie in a chip (Deng et al., "ArcFace", 2019)."""
_PLACES_WITHOUT_MOUTH = {"left_eye": 38.3 + 51.7j, "right_eye": 73.5 + 51.5j, "nose": 55.8 + 80.8j}
"""The same for landmarks of dlib, whose nose is the base of the nose and which have no mouth."""
_SEARCH_SIDE, _THOROUGH_SIDE = 192, 384
"""Short sides to search at. At 192 a face of a tenth of the width is still 20 pixels wide."""
_MIN_SCORE = 0.6
_TRACKED_WIDTH = 64.0
"""A tracked face is searched for at this width, around its place in the frame before."""
_BOX_SHARE = 2.5
"""The landmark model and the limits of quality and liveness were made for the squares of dlib's detector. A square of 2.5
times the mean distance of the points, centred between eyes and mouth, frames a face as that does, with less jitter: the
model saw closed eyes in 74 % of animated photographs of 42 persons, and in 60 % with the squares of dlib itself."""


class SFaceEngine:
    """One detector and one network on one thread. For parallel work use several processes (`biometrics.pool`)."""

    def __init__(self, landmark_model: LandmarkModel | None = None) -> None:
        """Load the models. Raises EngineUnavailable if a file is missing or altered."""
        yunet, sface = read_model_file(YUNET), read_model_file(SFACE)
        self._detector = YuNet(yunet)
        self._network = single_threaded_session(rewrite_for_onnxruntime(sface))
        self._landmark_model = landmark_model
        self._info = EngineInfo(
            key=KEY,
            metric=Metric.L2,
            dimension=DIMENSION,
            licence="SFace: Apache-2.0 (OpenCV Zoo); YuNet: MIT (libfacedetection)",
            weights_sha256=hashlib.sha256(yunet + sface).hexdigest(),
            landmark_model="" if landmark_model is None else landmark_model.name,
        )

    def info(self) -> EngineInfo:
        return self._info

    def supports(self, picture: Picture) -> bool:  # noqa: ARG002 - part of the protocol; any picture may be a photograph
        return True

    def detect(self, picture: Picture, *, thorough: bool = False) -> list[DetectedFace]:
        """Detect all faces, widest first. `thorough` finds smaller ones."""
        side = _THOROUGH_SIDE if thorough else _SEARCH_SIDE
        found = self._detector.detect(picture, side, _MIN_SCORE)
        if not found and not thorough:
            found = self._detector.detect(picture, _THOROUGH_SIDE, _MIN_SCORE)
        return [_as_face(each) for each in found]

    def track(self, pictures: Sequence[Picture]) -> list[list[DetectedFace]]:
        """Detect the faces of each frame: in the first and the last frame everywhere, between them near the last face.

        A frame whose face is not found there is searched everywhere.
        """
        tracked: list[list[DetectedFace]] = []
        for index, picture in enumerate(pictures):
            is_middle = 0 < index < len(pictures) - 1
            near = tracked[-1][0].box if is_middle and tracked[-1] else None
            found = [] if near is None else self._detect_near(picture, near)
            tracked.append(found or self.detect(picture))
        return tracked

    def _detect_near(self, picture: Picture, near: Box) -> list[DetectedFace]:
        found = self._detector.detect_near(picture, near, _TRACKED_WIDTH, _MIN_SCORE)
        return [_as_face(each) for each in found]

    def find_contours(self, picture: Picture, face: DetectedFace) -> Contours | None:
        """Locate contours with the landmark model, if there is one."""
        if self._landmark_model is None:
            return None
        return find_contours(self._landmark_model, picture, face.box)

    def embed(
        self,
        faces: Sequence[tuple[Picture, DetectedFace]],
        *,
        use: EmbeddingUse = EmbeddingUse.TEMPLATE,
    ) -> list[Descriptor]:
        """Descriptors of length 1. For a template, the mean over chip and mirror image; otherwise the chip alone.

        The mirror image doubles the time of a probe and changes no measured rate (docs/biometrics.md).
        """
        if not faces:
            return []
        chips = self.align(faces)
        vectors = self.compute_descriptors(chips)
        if use is EmbeddingUse.TEMPLATE:
            vectors += self.compute_descriptors(chips[:, :, ::-1])
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = (vectors / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)
        return [Descriptor(KEY, Metric.L2, vector) for vector in unit]

    def align(self, faces: Sequence[tuple[Picture, DetectedFace]]) -> Chips:
        """The chips of all faces."""
        return np.stack([_cut_chip(picture, face) for picture, face in faces])

    def compute_descriptors(self, chips: Chips) -> npt.NDArray[np.float32]:
        """The network's output for each chip, not normalised, shape (n, 128)."""
        batch = np.ascontiguousarray(chips.transpose(0, 3, 1, 2), dtype=np.float32)
        (raw,) = self._network.run([_OUTPUT], {_INPUT: batch})
        descriptors: npt.NDArray[np.float32] = raw
        return descriptors


def square_box(found: Detection) -> Box:
    """The square around a face as dlib's detector frames it."""
    left, right, _, *mouth = found.points
    eyes = Point((left.x + right.x) / 2, (left.y + right.y) / 2)
    lips = Point((mouth[0].x + mouth[1].x) / 2, (mouth[0].y + mouth[1].y) / 2)
    eye_distance = math.hypot(right.x - left.x, right.y - left.y)
    height = math.hypot(lips.x - eyes.x, lips.y - eyes.y)
    half = _BOX_SHARE * math.sqrt(eye_distance * height) / 2
    x, y = (eyes.x + lips.x) / 2, (eyes.y + lips.y) / 2
    return Box(x - half, y - half, x + half, y + half)


def _as_face(found: Detection) -> DetectedFace:
    left, right, nose, *mouth = found.points
    return DetectedFace(
        box=square_box(found),
        landmarks=Landmarks((left, left), (right, right), nose),
        confidence=found.score,
        mouth=(mouth[0], mouth[1]),
    )


def _cut_chip(picture: Picture, face: DetectedFace) -> Pixels:
    decoded = picture.rgb_for_face(face.box.width, CHIP_FACE_WIDTH)
    points = named_points(face)
    places = _PLACES_WITHOUT_MOUTH if face.mouth is None else _PLACES
    step, origin = fit_similarity(
        np.array(list(places.values())), np.array([points[name] for name in places])
    )
    return sample_chip(decoded.pixels, step / decoded.factor, origin / decoded.factor, (CHIP_SIDE, CHIP_SIDE))

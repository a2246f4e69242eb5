"""YuNet (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023): all faces of a picture in one pass.

The network predicts for each cell of three grids a class score, an objectness score, a box and five points, all relative
to the cell. The final score is the geometric mean of the two scores, as in OpenCV's FaceDetectorYN.
"""

import numpy as np
from PIL import Image

from biometrics.engines.base import Box
from biometrics.engines.graph_rewriting import rewrite_for_onnxruntime
from biometrics.engines.onnx_detector import (
    Candidates,
    Detection,
    Floats,
    detection_in_original,
    suppress_overlaps,
)
from biometrics.engines.onnx_session import single_threaded_session
from biometrics.pictures.decoding import WORKING_SIDE, Grey, Picture

_STRIDES = (8, 16, 32)
_STEP = 32
"""Sides of the input are multiples of the coarsest stride."""
_OUTPUTS = tuple(f"{name}_{stride}" for stride in _STRIDES for name in ("cls", "obj", "bbox", "kps"))
_NMS_IOU = 0.3
_MARGIN = 0.5
"""A face is searched near another one within its box grown by this share on each side."""


class YuNet:
    """One inference session on one thread. Safe for concurrent use."""

    def __init__(self, model: bytes) -> None:
        """`model` is the file as published (`model_files.YUNET`)."""
        self._session = single_threaded_session(rewrite_for_onnxruntime(model, any_size=True, grey=True))

    def detect(self, picture: Picture, short_side: int, min_score: float) -> list[Detection]:
        """The faces of a picture scaled down to `short_side`, widest first, in pixels of the original.

        The search uses grey levels, which every check of a picture decodes anyway; colours change no rate.
        """
        decoded = picture.grey(max(WORKING_SIDE, short_side))
        scaled = _scale_down(decoded.pixels, short_side)
        return self._search(scaled, picture.width / scaled.shape[1], (0.0, 0.0), min_score)

    def detect_near(
        self, picture: Picture, near: Box, face_width: float, min_score: float
    ) -> list[Detection]:
        """The faces around `near`, scaled so that a face of its size is `face_width` pixels wide. Widest first."""
        decoded = picture.grey(WORKING_SIDE)
        around = near.grown(_MARGIN).scaled(1 / decoded.factor)
        factor = face_width * decoded.factor / near.width
        size = (max(1, round(around.width * factor)), max(1, round(around.height * factor)))
        part = Image.fromarray(decoded.pixels).transform(
            size,
            Image.Transform.EXTENT,
            (around.left, around.top, around.right, around.bottom),
            Image.Resampling.BILINEAR,
        )
        origin = (around.left * decoded.factor, around.top * decoded.factor)
        return self._search(np.asarray(part), decoded.factor / factor, origin, min_score)

    def _search(
        self, grey: Grey, factor: float, origin: tuple[float, float], min_score: float
    ) -> list[Detection]:
        """The faces in `grey`, whose pixels are `factor` pixels of the original wide and start at `origin` there."""
        canvas = _pad(grey)
        blob = canvas.astype(np.float32)[None, None]
        answers = self._session.run(list(_OUTPUTS), {"input": blob})
        outputs = dict(zip(_OUTPUTS, answers, strict=True))
        candidates = _decode(outputs, canvas.shape[1])
        half = (factor - 1) / 2  # the centre of a scaled pixel
        found = [
            detection_in_original(candidates, index, factor, (origin[0] + half, origin[1] + half))
            for index in suppress_overlaps(candidates, min_score, _NMS_IOU)
        ]
        return sorted(found, key=lambda each: each.box.width, reverse=True)


def _scale_down(grey: Grey, short_side: int) -> Grey:
    """Always to the same side, so that copies of a picture in other sizes get the same points."""
    height, width = grey.shape
    factor = short_side / min(height, width)
    if factor >= 1:
        return grey
    size = (round(width * factor), round(height * factor))
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR))


def _pad(grey: Grey) -> Grey:
    """Add black pixels on the right and at the bottom, up to a multiple of the coarsest stride."""
    height, width = grey.shape
    return np.pad(grey, ((0, -height % _STEP), (0, -width % _STEP)))


def _decode(outputs: dict[str, Floats], width: int) -> Candidates:
    boxes, scores, points = [], [], []
    for stride in _STRIDES:
        classes, objects = (outputs[f"{name}_{stride}"][0, :, 0] for name in ("cls", "obj"))
        columns = width // stride
        cells = np.arange(len(classes))
        corner = np.stack([cells % columns, cells // columns], axis=1).astype(np.float32)
        relative = outputs[f"bbox_{stride}"][0]
        centre = (corner + relative[:, :2]) * stride
        half = np.exp(relative[:, 2:]) * stride / 2
        boxes.append(np.concatenate([centre - half, centre + half], axis=1))
        scores.append(np.sqrt(classes.clip(0, 1) * objects.clip(0, 1)))
        points.append((outputs[f"kps_{stride}"][0] + np.tile(corner, 5)) * stride)
    return Candidates(np.concatenate(boxes), np.concatenate(scores), np.concatenate(points))

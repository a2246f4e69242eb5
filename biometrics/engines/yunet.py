"""YuNet (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023): all faces of a picture in one pass.

The network predicts for each cell of three grids a class score, an objectness score, a box and five points, all relative
to the cell. The final score is the geometric mean of the two scores, as in OpenCV's FaceDetectorYN.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from biometrics.engines.graph_rewriting import rewrite_for_onnxruntime
from biometrics.engines.onnx_detector import (
    Candidates,
    Detection,
    Floats,
    detection_in_original,
    suppress_overlaps,
)
from biometrics.engines.onnx_session import single_threaded_session
from biometrics.pictures.decoding import Picture, Pixels

_STRIDES = (8, 16, 32)
_STEP = 32
"""Sides of the input are multiples of the coarsest stride."""
_OUTPUTS = tuple(f"{name}_{stride}" for stride in _STRIDES for name in ("cls", "obj", "bbox", "kps"))
_NMS_IOU = 0.3
_BGR = slice(None, None, -1)


class YuNet:
    """One inference session on one thread. Safe for concurrent use."""

    def __init__(self, model: bytes) -> None:
        """`model` is the file as published (`model_files.YUNET`)."""
        self._session = single_threaded_session(rewrite_for_onnxruntime(model, any_size=True))

    def detect(self, picture: Picture, short_side: int, min_score: float) -> list[Detection]:
        """The faces of a picture scaled to `short_side`, widest first, in pixels of the original."""
        decoded = picture.rgb(short_side)
        return self.detect_in(decoded.pixels, short_side, min_score, factor=decoded.factor)

    def detect_in(
        self, pixels: Pixels, short_side: int, min_score: float, *, factor: float = 1.0
    ) -> list[Detection]:
        """The faces of RGB `pixels` scaled to `short_side`, widest first, in pixels multiplied by `factor`."""
        canvas, scale = _fit_to_grid(pixels, short_side)
        blob = np.ascontiguousarray(canvas[..., _BGR].transpose(2, 0, 1)[None], dtype=np.float32)
        answers = self._session.run(list(_OUTPUTS), {"input": blob})
        outputs = dict(zip(_OUTPUTS, answers, strict=True))
        candidates = _decode(outputs, canvas.shape[1])
        found = [
            detection_in_original(candidates, index, factor * scale)
            for index in suppress_overlaps(candidates, min_score, _NMS_IOU)
        ]
        return sorted(found, key=lambda each: each.box.width, reverse=True)


def _fit_to_grid(pixels: Pixels, short_side: int) -> tuple[npt.NDArray[np.uint8], float]:
    """Scale to `short_side` and pad right and bottom with black. Returns the canvas and the scale back to `pixels`."""
    height, width = pixels.shape[:2]
    scale = min(height, width) / short_side
    size = (max(1, round(width / scale)), max(1, round(height / scale)))
    image = Image.fromarray(pixels)
    scaled = np.asarray(
        image if image.size == size else image.resize(size, Image.Resampling.BILINEAR, reducing_gap=1.0)
    )
    padded = tuple(-(-side // _STEP) * _STEP for side in scaled.shape[:2])
    if padded == scaled.shape[:2]:
        return scaled, scale
    canvas = np.zeros((*padded, 3), dtype=np.uint8)
    canvas[: scaled.shape[0], : scaled.shape[1]] = scaled
    return canvas, scale


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

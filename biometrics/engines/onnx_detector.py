"""Decodes the outputs of an operator's detector: boxes, non-maximum suppression, positions in the original."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from biometrics.engines.base import Box, Point
from biometrics.engines.onnx_spec import BoxDetector, ImageInput, ScrfdDetector, ScrfdLevel
from biometrics.pictures.decoding import Picture

Floats = npt.NDArray[np.float32]
Outputs = dict[str, Floats]
_MAX_CANDIDATES = 500
"""Only the best boxes enter non-maximum suppression, because its cost grows with their square."""
_POINTS = 5


class RunModel(Protocol):
    """Runs the model: one input, all outputs by name."""

    def __call__(self, blob: Floats) -> Outputs: ...


@dataclass(frozen=True, slots=True)
class Detection:
    """One detected face. Points: left eye, right eye, nose, left and right mouth corner, as seen in the image."""

    box: Box
    score: float
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Boxes (n, 4), scores (n) and points (n, 10) or None, in pixels of the model's input."""

    boxes: Floats
    scores: Floats
    points: Floats | None


def detect_faces(picture: Picture, spec: BoxDetector | ScrfdDetector, run: RunModel) -> list[Detection]:
    """Faces in pixels of the original, widest first. Raises ValueError if outputs do not have the described shape."""
    canvas, factor = _fit_to_input(picture, spec.input)
    outputs = run(spec.input.blob(canvas[None]))
    candidates = (
        _decode_boxes(outputs, spec) if isinstance(spec, BoxDetector) else _decode_scrfd(outputs, spec)
    )
    detections = [
        detection_in_original(candidates, index, factor)
        for index in suppress_overlaps(candidates, spec.score_threshold, spec.nms_iou)
    ]
    return sorted(detections, key=lambda each: each.box.width, reverse=True)


def _fit_to_input(picture: Picture, wanted: ImageInput) -> tuple[npt.NDArray[np.uint8], float]:
    """Place the picture in the upper left corner of a black canvas. Returns it with its scale to the original."""
    ratio = min(wanted.width / picture.width, wanted.height / picture.height)
    decoded = picture.rgb(max(1, round(picture.short_side * min(1.0, ratio)))).pixels
    size = (max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio)))
    scaled = Image.fromarray(decoded).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    canvas = np.zeros((wanted.height, wanted.width, 3), dtype=np.uint8)
    canvas[: size[1], : size[0]] = np.asarray(scaled)
    return canvas, 1 / ratio


def _decode_boxes(outputs: Outputs, spec: BoxDetector) -> Candidates:
    boxes = _rows(outputs, spec.outputs.boxes, 4)
    sides = [spec.input.width, spec.input.height] if spec.units == "fractions" else [1, 1]
    unit = np.array(sides, np.float32)
    marks = spec.outputs.landmarks
    points = None if marks is None else _rows(outputs, marks, 2 * _POINTS) * np.tile(unit, _POINTS)
    scores = outputs[spec.outputs.scores]
    scores = scores.reshape(len(boxes), -1)[:, -1] if len(boxes) else np.zeros(0, np.float32)
    return Candidates(boxes * np.tile(unit, 2), scores, points)


def _decode_scrfd(outputs: Outputs, spec: ScrfdDetector) -> Candidates:
    levels = [_decode_scrfd_level(outputs, spec, level) for level in spec.levels]
    points = [level.points for level in levels if level.points is not None]
    return Candidates(
        np.concatenate([level.boxes for level in levels]),
        np.concatenate([level.scores for level in levels]),
        np.concatenate(points) if len(points) == len(levels) else None,
    )


def _decode_scrfd_level(outputs: Outputs, spec: ScrfdDetector, level: ScrfdLevel) -> Candidates:
    """Decode one stride. Rows follow the grid line by line, with all anchors of a cell together."""
    rows, columns = spec.input.height // level.stride, spec.input.width // level.stride
    y, x = np.mgrid[:rows, :columns].astype(np.float32) * level.stride
    places = np.stack([x.ravel(), y.ravel()], axis=1).repeat(spec.anchors, axis=0)
    sides = _rows(outputs, level.boxes, 4) * level.stride
    scores = outputs[level.scores].reshape(-1)
    if not len(places) == len(sides) == len(scores):
        msg = f"{level.boxes}: {len(sides)} rows and {level.scores}: {len(scores)}, where the grid has {len(places)}"
        raise ValueError(msg)
    boxes = np.concatenate([places - sides[:, :2], places + sides[:, 2:]], axis=1)
    if level.landmarks is None:
        return Candidates(boxes, scores, None)
    marks = _rows(outputs, level.landmarks, 2 * _POINTS) * level.stride
    return Candidates(boxes, scores, marks + np.tile(places, _POINTS))


def _rows(outputs: Outputs, name: str, width: int) -> Floats:
    values = outputs[name]
    if values.shape[-1:] != (width,):
        msg = f"{name} has shape {values.shape}; its last dimension should be {width}"
        raise ValueError(msg)
    return values.reshape(-1, width)


def suppress_overlaps(candidates: Candidates, score_threshold: float, nms_iou: float) -> list[int]:
    """Non-maximum suppression. Returns the indices of valid boxes above the threshold, best first."""
    boxes = candidates.boxes
    sound = np.isfinite(boxes).all(axis=1) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    if candidates.points is not None:
        apart = (candidates.points[:, :2] != candidates.points[:, 2:4]).any(axis=1)
        sound &= np.isfinite(candidates.points).all(axis=1) & apart
    chosen = np.flatnonzero(sound & (candidates.scores >= score_threshold))
    chosen = chosen[np.argsort(-candidates.scores[chosen], kind="stable")][:_MAX_CANDIDATES]
    selected: list[int] = []
    while len(chosen):
        best, chosen = int(chosen[0]), chosen[1:]
        selected.append(best)
        chosen = chosen[_intersection_over_union(boxes[best], boxes[chosen]) <= nms_iou]
    return selected


def _intersection_over_union(box: Floats, others: Floats) -> Floats:
    """Intersection over union."""
    shared = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    intersection = shared.clip(0).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    ratio: Floats = intersection / (areas - intersection)
    return ratio


def detection_in_original(
    candidates: Candidates, index: int, factor: float, origin: tuple[float, float] = (0.0, 0.0)
) -> Detection:
    """One candidate with every position multiplied by `factor`, then moved by `origin`."""
    x, y = origin
    box = Box(*(float(side) for side in candidates.boxes[index])).scaled(factor).moved(x, y)
    marks = () if candidates.points is None else candidates.points[index].reshape(_POINTS, 2)
    points = tuple(Point(float(mark[0]) * factor + x, float(mark[1]) * factor + y) for mark in marks)
    return Detection(box, float(candidates.scores[index]), points)

"""Faces from the outputs of an operator's detector: decoding, suppression of repeated boxes, positions in the original."""

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
_MOST_CANDIDATES = 500
"""Best boxes that suppression looks at: its cost grows with their square."""
_POINTS = 5


class Run(Protocol):
    """Computes the model: one input, all outputs by name."""

    def __call__(self, blob: Floats) -> Outputs: ...


@dataclass(frozen=True, slots=True)
class Found:
    """One face; points are left eye, right eye, nose, left and right corner of the mouth, as the image shows them."""

    box: Box
    score: float
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Boxes (n, 4), scores (n) and points (n, 10) or None, in pixels of the model's input."""

    boxes: Floats
    scores: Floats
    points: Floats | None


def find(picture: Picture, spec: BoxDetector | ScrfdDetector, run: Run) -> list[Found]:
    """Faces in the original's pixels, the widest first. Raises ValueError for outputs of another shape than described."""
    canvas, factor = _fitted(picture, spec.input)
    outputs = run(spec.input.blob(canvas[None]))
    candidates = _boxes(outputs, spec) if isinstance(spec, BoxDetector) else _distances(outputs, spec)
    found = [_scaled(candidates, index, factor) for index in _kept(candidates, spec)]
    return sorted(found, key=lambda each: each.box.width, reverse=True)


def _fitted(picture: Picture, wanted: ImageInput) -> tuple[npt.NDArray[np.uint8], float]:
    """The picture in the upper left corner of a black canvas, and the size of the canvas' pixels in the original."""
    ratio = min(wanted.width / picture.width, wanted.height / picture.height)
    decoded = picture.rgb(max(1, round(picture.short_side * min(1.0, ratio)))).pixels
    size = (max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio)))
    scaled = Image.fromarray(decoded).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    canvas = np.zeros((wanted.height, wanted.width, 3), dtype=np.uint8)
    canvas[: size[1], : size[0]] = np.asarray(scaled)
    return canvas, 1 / ratio


def _boxes(outputs: Outputs, spec: BoxDetector) -> Candidates:
    boxes = _rows(outputs, spec.outputs.boxes, 4)
    sides = [spec.input.width, spec.input.height] if spec.units == "fractions" else [1, 1]
    unit = np.array(sides, np.float32)
    marks = spec.outputs.landmarks
    points = None if marks is None else _rows(outputs, marks, 2 * _POINTS) * np.tile(unit, _POINTS)
    scores = outputs[spec.outputs.scores]
    scores = scores.reshape(len(boxes), -1)[:, -1] if len(boxes) else np.zeros(0, np.float32)
    return Candidates(boxes * np.tile(unit, 2), scores, points)


def _distances(outputs: Outputs, spec: ScrfdDetector) -> Candidates:
    levels = [_level(outputs, spec, level) for level in spec.levels]
    points = [level.points for level in levels if level.points is not None]
    return Candidates(
        np.concatenate([level.boxes for level in levels]),
        np.concatenate([level.scores for level in levels]),
        np.concatenate(points) if len(points) == len(levels) else None,
    )


def _level(outputs: Outputs, spec: ScrfdDetector, level: ScrfdLevel) -> Candidates:
    """Rows go over the grid line by line, all anchors of a place together."""
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
        msg = f"{name} has shape {values.shape}, where its last side should be {width}"
        raise ValueError(msg)
    return values.reshape(-1, width)


def _kept(candidates: Candidates, spec: BoxDetector | ScrfdDetector) -> list[int]:
    """Indices of sound boxes above the threshold, the best first, without those that repeat a better one."""
    boxes = candidates.boxes
    sound = np.isfinite(boxes).all(axis=1) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    if candidates.points is not None:
        apart = (candidates.points[:, :2] != candidates.points[:, 2:4]).any(axis=1)
        sound &= np.isfinite(candidates.points).all(axis=1) & apart
    chosen = np.flatnonzero(sound & (candidates.scores >= spec.score_threshold))
    chosen = chosen[np.argsort(-candidates.scores[chosen], kind="stable")][:_MOST_CANDIDATES]
    kept: list[int] = []
    while len(chosen):
        best, chosen = int(chosen[0]), chosen[1:]
        kept.append(best)
        chosen = chosen[_overlap(boxes[best], boxes[chosen]) <= spec.nms_iou]
    return kept


def _overlap(box: Floats, others: Floats) -> Floats:
    """Intersection over union."""
    shared = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    intersection = shared.clip(0).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    ratio: Floats = intersection / (areas - intersection)
    return ratio


def _scaled(candidates: Candidates, index: int, factor: float) -> Found:
    left, top, right, bottom = (float(side) * factor for side in candidates.boxes[index])
    marks = () if candidates.points is None else candidates.points[index].reshape(_POINTS, 2)
    points = tuple(Point(float(x) * factor, float(y) * factor) for x, y in marks)
    return Found(Box(left, top, right, bottom), float(candidates.scores[index]), points)

"""What a face engine is: the protocol, the values that cross it, and the ordered set of enabled engines.

A descriptor means something only inside the engine and version that made it. Comparing descriptors of
different engines or versions raises; a change of engine is answered by enrolling again, never by guessing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from biometrics.errors import EngineMismatch, EngineUnavailable
from biometrics.pictures.decoding import Picture

Vector = npt.NDArray[np.float32]
"""One descriptor, shape (dimension,)."""


class Metric(StrEnum):
    """How two descriptors of an engine are compared. Distances: smaller is closer."""

    L2 = "l2"


@dataclass(frozen=True, slots=True, order=True)
class EngineKey:
    """The identity of an engine for comparison: equal keys, comparable descriptors."""

    id: str
    version: str

    def __str__(self) -> str:
        return f"{self.id}/{self.version}"


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an operator and an auditor must know of an engine."""

    key: EngineKey
    metric: Metric
    dimension: int
    licence: str
    weights_sha256: str
    """Over the weight files in use; empty for an engine without weights."""
    test_only: bool = False
    contour_model: str = ""
    """The model of outlines in faces with its licence; empty for none. It has no part in descriptors."""


@dataclass(frozen=True, slots=True)
class Point:
    """A position in pixels, x to the right and y down."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Box:
    """A face's rectangle in pixels; it may reach over the image's edge."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    def scaled(self, factor: float) -> "Box":
        """The same box in a picture `factor` times as large."""
        return Box(self.left * factor, self.top * factor, self.right * factor, self.bottom * factor)

    def moved(self, x: float, y: float) -> "Box":
        """Shifted to the right and downwards."""
        return Box(self.left + x, self.top + y, self.right + x, self.bottom + y)

    def grown(self, share: float) -> "Box":
        """With `share` of its width and height added on every side."""
        x, y = self.width * share, self.height * share
        return Box(self.left - x, self.top - y, self.right + x, self.bottom + y)


@dataclass(frozen=True, slots=True)
class Landmarks:
    """The five points that align a face: two corners of each eye and the base of the nose.

    `left` and `right` are the image's, not the person's; corners are ordered outer first.
    """

    left_eye: tuple[Point, Point]
    right_eye: tuple[Point, Point]
    nose: Point


@dataclass(frozen=True, slots=True)
class Contours:
    """Outlines inside one face, by which one sees what it does. `left` and `right` are the image's, not the person's."""

    left_eye: tuple[Point, ...]
    """Six points: a corner, two of the upper lid, the other corner, two of the lower lid on the way back."""
    right_eye: tuple[Point, ...]
    mouth: tuple[Point, ...]
    """Eight points of the inner lips: left corner, three above, right corner, three below on the way back."""
    nose: Point
    """The base of the nose, as in Landmarks."""
    rigid: tuple[Point, ...]
    """Points that no expression moves and that do not lie in one plane (corners of the eyes, nose), in a fixed order."""

    def scaled(self, factor: float) -> "Contours":
        """The same outlines in a picture `factor` times as large."""

        def of(outline: tuple[Point, ...]) -> tuple[Point, ...]:
            return tuple(Point(point.x * factor, point.y * factor) for point in outline)

        (nose,) = of((self.nose,))
        return Contours(of(self.left_eye), of(self.right_eye), of(self.mouth), nose, of(self.rigid))


@dataclass(frozen=True, slots=True)
class DetectedFace:
    """One face found in one image."""

    box: Box
    landmarks: Landmarks
    confidence: float
    """The detector's own score; only its order within one engine means something."""
    mouth: tuple[Point, Point] | None = None
    """The corners at the image's left and right, from a detector that tells them."""


@dataclass(frozen=True, slots=True, eq=False)
class Descriptor:
    """A face as numbers, tied to the engine that made it."""

    engine: EngineKey
    metric: Metric
    vector: Vector


class FaceEngine(Protocol):
    """Finds faces in a picture and turns them into descriptors. Positions are those of the upright original."""

    def info(self) -> EngineInfo:
        """Identity, metric, licence and weights."""
        ...

    def claims(self, picture: Picture) -> bool:
        """Cheaply: is this a kind of picture the engine is made for?"""
        ...

    def detect(self, picture: Picture, *, thorough: bool = False) -> list[DetectedFace]:
        """All faces, the widest first. `thorough` asks for small faces too, as an enrolment must."""
        ...

    def follow(self, pictures: Sequence[Picture]) -> list[list[DetectedFace]]:
        """The faces of each frame of a burst, the widest first.

        An engine may look first where the frame before showed the face and, finding it there, nowhere else.
        """
        ...

    def contours(self, picture: Picture, face: DetectedFace) -> Contours | None:
        """The face's outlines; None when this engine has no model of them."""
        ...

    def embed(
        self, found: Sequence[tuple[Picture, DetectedFace]], *, brief: bool = False
    ) -> list[Descriptor]:
        """One descriptor for each face in its picture, in the same order.

        `brief` allows one view of each face where the engine takes several: enough to notice another person among
        the frames of one burst, not to be compared with a template.
        """
        ...


def distance(one: Descriptor, other: Descriptor) -> float:
    """Distance in the engine's metric; raises EngineMismatch across engines or versions."""
    require_same_engine(one.engine, other.engine)
    return float(np.linalg.norm(one.vector.astype(np.float64) - other.vector.astype(np.float64)))


def require_same_engine(enrolled: EngineKey, asked: EngineKey) -> None:
    """Raise EngineMismatch unless both are one engine in one version."""
    if enrolled != asked:
        raise EngineMismatch(enrolled=str(enrolled), asked=str(asked))


class EngineSet:
    """The explicitly enabled engines, in the order in which they may claim a picture.

    An enrolment is made by the first engine that claims every shot. A later check is judged by the engine of
    the template alone: the picture never chooses its judge.
    """

    def __init__(self, engines: Sequence[FaceEngine]) -> None:
        keys = [engine.info().key for engine in engines]
        if not keys or len(set(keys)) != len(keys):
            raise EngineUnavailable(
                engine=", ".join(map(str, keys)) or "-", reason="none enabled, or one twice"
            )
        self._engines = dict(zip(keys, engines, strict=True))

    def infos(self) -> tuple[EngineInfo, ...]:
        """The enabled engines in order."""
        return tuple(engine.info() for engine in self._engines.values())

    def claiming(self, images: Sequence[Picture]) -> FaceEngine:
        """The first engine that claims every image; the last enabled one when none does."""
        engines = list(self._engines.values())
        for engine in engines:
            if all(engine.claims(picture) for picture in images):
                return engine
        return engines[-1]

    def of(self, key: EngineKey) -> FaceEngine:
        """The engine that made a template; raises EngineMismatch when only another version is enabled."""
        if key in self._engines:
            return self._engines[key]
        for enabled in self._engines:
            if enabled.id == key.id:
                raise EngineMismatch(enrolled=str(key), asked=str(enabled))
        raise EngineUnavailable(engine=str(key), reason="not enabled")

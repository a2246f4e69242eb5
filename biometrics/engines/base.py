"""The interface of face engines: the protocol, its value types, and the ordered set of enabled engines.

A descriptor is meaningful only for the engine and version that made it. Comparing descriptors of different engines or
versions raises EngineMismatch; after a change of engine a person enrols again.
"""

from collections.abc import Callable, Sequence
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
    """How two descriptors of an engine are compared. All metrics are distances: smaller is closer."""

    L2 = "l2"


@dataclass(frozen=True, slots=True, order=True)
class EngineKey:
    """The identity of an engine. Descriptors are comparable only if their keys are equal."""

    id: str
    version: str

    def __str__(self) -> str:
        return f"{self.id}/{self.version}"


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """The facts about an engine that an operator or an auditor needs."""

    key: EngineKey
    metric: Metric
    dimension: int
    licence: str
    weights_sha256: str
    """Hash over the weight files in use; empty for an engine without weights."""
    test_only: bool = False
    landmark_model: str = ""
    """The landmark model for contours, with its licence; empty for none. It does not influence descriptors."""


@dataclass(frozen=True, slots=True)
class Point:
    """A position in pixels, x to the right and y down."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Box:
    """The bounding box of a face in pixels. It may extend beyond the image."""

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
        """The same box in an image `factor` times as large."""
        return Box(self.left * factor, self.top * factor, self.right * factor, self.bottom * factor)

    def moved(self, x: float, y: float) -> "Box":
        """The box shifted right by `x` and down by `y`."""
        return Box(self.left + x, self.top + y, self.right + x, self.bottom + y)

    def grown(self, share: float) -> "Box":
        """The box with `share` of its width and height added on every side."""
        x, y = self.width * share, self.height * share
        return Box(self.left - x, self.top - y, self.right + x, self.bottom + y)


@dataclass(frozen=True, slots=True)
class Landmarks:
    """The five points used to align a face: two corners of each eye and the base of the nose.

    `left` and `right` are those of the image, not the person's. Outer corners come first.
    """

    left_eye: tuple[Point, Point]
    right_eye: tuple[Point, Point]
    nose: Point


@dataclass(frozen=True, slots=True)
class Contours:
    """Outlines of eyes, mouth and nose of one face. `left` and `right` are those of the image, not the person's."""

    left_eye: tuple[Point, ...]
    """Six points: first corner, two of the upper lid, second corner, two of the lower lid on the way back."""
    right_eye: tuple[Point, ...]
    mouth: tuple[Point, ...]
    """Eight points of the inner lips: left corner, three above, right corner, three below on the way back."""
    nose: Point
    """The base of the nose, as in Landmarks."""
    rigid: tuple[Point, ...]
    """Points that no expression moves and that are not coplanar (eye corners and nose), in a fixed order."""

    def scaled(self, factor: float) -> "Contours":
        """The same outlines in an image `factor` times as large."""
        return self._mapped(lambda point: Point(point.x * factor, point.y * factor))

    def moved(self, x: float, y: float) -> "Contours":
        """The outlines shifted right by `x` and down by `y`."""
        return self._mapped(lambda point: Point(point.x + x, point.y + y))

    def _mapped(self, change: Callable[[Point], Point]) -> "Contours":
        left, right, mouth, rigid = (
            tuple(map(change, outline)) for outline in (self.left_eye, self.right_eye, self.mouth, self.rigid)
        )
        return Contours(left, right, mouth, change(self.nose), rigid)


@dataclass(frozen=True, slots=True)
class DetectedFace:
    """One face detected in one image."""

    box: Box
    landmarks: Landmarks
    confidence: float
    """The detector's own score. Only its order within one engine is meaningful."""
    mouth: tuple[Point, Point] | None = None
    """The corners of the mouth, left one of the image first; None if the detector does not locate them."""


class EmbeddingUse(StrEnum):
    """What a descriptor is computed for. An engine may average several views of a face where that improves the result."""

    TEMPLATE = "template"
    """Part of a template, which is kept for years."""
    PROBE = "probe"
    """Compared with a template, or with another frame of the same burst."""


@dataclass(frozen=True, slots=True, eq=False)
class Descriptor:
    """The feature vector of a face, tied to the engine that made it."""

    engine: EngineKey
    metric: Metric
    vector: Vector


class FaceEngine(Protocol):
    """Detects faces in a picture and computes their descriptors. Positions are in pixels of the upright original."""

    def info(self) -> EngineInfo:
        """Identity, metric, licence and weights."""
        ...

    def supports(self, picture: Picture) -> bool:
        """Whether this engine is made for such a picture. Must be cheap."""
        ...

    def detect(self, picture: Picture, *, thorough: bool = False) -> list[DetectedFace]:
        """Detect faces, widest first. `thorough` also searches for small faces and other people, as enrolment requires."""
        ...

    def track(self, pictures: Sequence[Picture]) -> list[list[DetectedFace]]:
        """Detect the faces in each frame of a burst, widest first.

        An engine may first search near the face of the previous frame, and skip the rest of the frame if it is there. The
        first and the last frame are always searched for other people.
        """
        ...

    def find_contours(self, picture: Picture, face: DetectedFace) -> Contours | None:
        """The contours of a face; None if this engine has no landmark model."""
        ...

    def embed(
        self,
        faces: Sequence[tuple[Picture, DetectedFace]],
        *,
        use: EmbeddingUse = EmbeddingUse.TEMPLATE,
    ) -> list[Descriptor]:
        """Compute one descriptor for each face, in the same order, with as many views of it as its `use` needs."""
        ...


def distance(one: Descriptor, other: Descriptor) -> float:
    """The distance in the engine's metric. Raises EngineMismatch across engines or versions."""
    require_same_engine(one.engine, other.engine)
    return float(np.linalg.norm(one.vector.astype(np.float64) - other.vector.astype(np.float64)))


def require_same_engine(enrolled: EngineKey, current: EngineKey) -> None:
    """Raise EngineMismatch unless both keys are equal."""
    if enrolled != current:
        raise EngineMismatch(enrolled=str(enrolled), current=str(current))


class EngineSet:
    """The enabled engines, in order of preference for enrolment.

    The first engine that supports every shot makes the template. Later checks always use the engine of the template,
    so the picture cannot choose which engine judges it.
    """

    def __init__(self, engines: Sequence[FaceEngine]) -> None:
        keys = [engine.info().key for engine in engines]
        if not keys or len(set(keys)) != len(keys):
            raise EngineUnavailable(
                engine=", ".join(map(str, keys)) or "-", reason="none enabled, or one twice"
            )
        self._engines = dict(zip(keys, engines, strict=True))

    def infos(self) -> tuple[EngineInfo, ...]:
        """Information on the enabled engines, in order."""
        return tuple(engine.info() for engine in self._engines.values())

    def engine_for(self, images: Sequence[Picture]) -> FaceEngine:
        """The first engine that supports every picture; the last enabled engine if none does."""
        engines = list(self._engines.values())
        for engine in engines:
            if all(engine.supports(picture) for picture in images):
                return engine
        return engines[-1]

    def get(self, key: EngineKey) -> FaceEngine:
        """The engine that made a template. Raises EngineMismatch if only another version is enabled."""
        if key in self._engines:
            return self._engines[key]
        for enabled in self._engines:
            if enabled.id == key.id:
                raise EngineMismatch(enrolled=str(key), current=str(enabled))
        raise EngineUnavailable(engine=str(key), reason="not enabled")

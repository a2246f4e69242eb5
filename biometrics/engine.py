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
from biometrics.picture import Picture

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


@dataclass(frozen=True, slots=True)
class Landmarks:
    """The five points that align a face: two corners of each eye and the base of the nose.

    `left` and `right` are the image's, not the person's; corners are ordered outer first.
    """

    left_eye: tuple[Point, Point]
    right_eye: tuple[Point, Point]
    nose: Point


@dataclass(frozen=True, slots=True)
class DetectedFace:
    """One face found in one image."""

    box: Box
    landmarks: Landmarks
    confidence: float
    """The detector's own score; only its order within one engine means something."""


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

    def embed(self, picture: Picture, faces: Sequence[DetectedFace]) -> list[Descriptor]:
        """One descriptor for each face, in the same order."""
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

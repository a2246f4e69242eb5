"""Signals that raise or lower suspicion of a burst without deciding anything: they sort what a person looks at first."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from biometrics.engines.base import Contours
from biometrics.liveness.expression import measure_expression


@dataclass(frozen=True, slots=True)
class RiskRules:
    """From where a signal starts to count and from where it counts in full; the first may be the larger one."""

    moire: tuple[float, float]
    """`Texture.moire`."""
    irregular: tuple[float, float]
    """`Texture.irregular`."""
    flash: tuple[float, float]
    """`FlashResponse.correlation`: suspicion grows as it falls."""
    stillness: tuple[float, float]
    """`stillness` of the burst: suspicion grows as movement falls."""
    rhythm: tuple[float, float]
    """`evenness` of the frame times."""


@dataclass(frozen=True, slots=True)
class Part:
    """One signal: its figure as measured, and the suspicion it raises, 0 to 1."""

    name: str
    figure: float
    suspicion: float


@dataclass(frozen=True, slots=True)
class Risk:
    """The signals of one burst; a signal that could not be measured is not among them."""

    parts: tuple[Part, ...] = ()

    @property
    def score(self) -> float:
        """0 to 1. Every part can only add, and none alone exceeds a half."""
        clear = 1.0
        for part in self.parts:
            clear *= 1.0 - part.suspicion / 2
        return 1.0 - clear

    def figures(self) -> dict[str, object]:
        """Score and parts, in JSON's own types."""
        return {
            "score": round(self.score, 3),
            "parts": {
                part.name: {"figure": round(part.figure, 4), "suspicion": round(part.suspicion, 3)}
                for part in self.parts
            },
        }


def risk_of(signals: Mapping[str, float], rules: RiskRules) -> Risk:
    """The signals that were measured, by the names of the rules."""
    return Risk(tuple(_part(name, figure, getattr(rules, name)) for name, figure in signals.items()))


def stillness(faces: Sequence[Contours]) -> float | None:
    """Median movement of the rigid points from face to face, in eye distances: a hand is never quite still."""
    moved = []
    for before, after in pairwise(faces):
        distances = [
            math.hypot(one.x - other.x, one.y - other.y)
            for one, other in zip(before.rigid, after.rigid, strict=True)
        ]
        if eye_distance := measure_expression(before).eye_distance:
            moved.append(sum(distances) / len(distances) / eye_distance)
    return median(moved) if moved else None


def evenness(times_ms: Sequence[int]) -> float | None:
    """Share of the commonest gap among the gaps between frames: a camera's vary, a script's often do not."""
    gaps = Counter(later - earlier for earlier, later in pairwise(times_ms))
    return max(gaps.values()) / gaps.total() if gaps else None


def _part(name: str, figure: float, span: tuple[float, float]) -> Part:
    """A figure's suspicion: 0 up to the span's start, 1 from its end, linear between."""
    start, end = span
    share = (figure - start) / (end - start) if start != end else float(figure >= end)
    return Part(name, figure, min(1.0, max(0.0, share)))

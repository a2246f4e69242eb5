"""Risk signals of a burst. They decide nothing: reviewers see the riskiest bursts first."""

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
    """For each signal, the value from which it counts and the value from which it counts fully, in either order."""

    moire: tuple[float, float]
    """`Texture.moire`."""
    irregular: tuple[float, float]
    """`Texture.irregular`."""
    flash: tuple[float, float]
    """`FlashResponse.correlation`: risk rises as it falls."""
    change: tuple[float, float]
    """`face_change.measure_change`: risk rises as it falls."""
    stillness: tuple[float, float]
    """`stillness` of the burst: risk rises as movement falls."""
    rhythm: tuple[float, float]
    """`gap_regularity` of the frame times."""


@dataclass(frozen=True, slots=True)
class RiskPart:
    """One signal: the measured figure, and the suspicion it raises, 0 to 1."""

    name: str
    figure: float
    suspicion: float


@dataclass(frozen=True, slots=True)
class Risk:
    """The signals of one burst. Signals that could not be measured are missing."""

    parts: tuple[RiskPart, ...] = ()

    @property
    def score(self) -> float:
        """0 to 1. Every part can only raise it, and no part alone raises it above one half."""
        clear = 1.0
        for part in self.parts:
            clear *= 1.0 - part.suspicion / 2
        return 1.0 - clear

    def figures(self) -> dict[str, object]:
        """Score and parts as JSON values."""
        return {
            "score": round(self.score, 3),
            "parts": {
                part.name: {"figure": round(part.figure, 4), "suspicion": round(part.suspicion, 3)}
                for part in self.parts
            },
        }


def rate_risk(signals: Mapping[str, float], rules: RiskRules) -> Risk:
    """Rate the measured signals. Keys are the field names of RiskRules."""
    return Risk(tuple(_rate_signal(name, figure, getattr(rules, name)) for name, figure in signals.items()))


def stillness(faces: Sequence[Contours]) -> float | None:
    """Median movement of the rigid points between frames, in eye distances. A hand-held phone is never quite still."""
    moved = []
    for before, after in pairwise(faces):
        distances = [
            math.hypot(one.x - other.x, one.y - other.y)
            for one, other in zip(before.rigid, after.rigid, strict=True)
        ]
        if eye_distance := measure_expression(before).eye_distance:
            moved.append(sum(distances) / len(distances) / eye_distance)
    return median(moved) if moved else None


def gap_regularity(times_ms: Sequence[int]) -> float | None:
    """Share of the most common gap between frames. Gaps of a camera vary; those of a script often do not."""
    gaps = Counter(later - earlier for earlier, later in pairwise(times_ms))
    return max(gaps.values()) / gaps.total() if gaps else None


def _rate_signal(name: str, figure: float, span: tuple[float, float]) -> RiskPart:
    """Map a figure to a suspicion: 0 up to the start of the span, 1 from its end, linear between."""
    start, end = span
    share = (figure - start) / (end - start) if start != end else float(figure >= end)
    return RiskPart(name, figure, min(1.0, max(0.0, share)))

"""Searches for one face enrolled under two names: one-to-many comparison of templates by matrix products in blocks.

At a false match rate of 1e-3 a school of two thousand has two thousand false pairs. So only pairs above a score that
strangers reach rarely are worth a person's time. That score is extrapolated from the scores seen in the search itself:
above its upper 5 % the distribution of arctanh(score) falls about exponentially (Pickands 1975; see
`learned_thresholds`). The fit uses medians of the excesses, so that a few true duplicates hardly move it.

A pair is a question for a person, and never a decision.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from biometrics.errors import BiometricsError

Singles = npt.NDArray[np.float32]

_LARGEST = 1 - 1e-6
"""Scores are cut here, because arctanh of 1 is infinite."""
_BLOCK_CELLS = 8_000_000
"""Scores computed at once: 32 MB in single precision."""
_TAIL = 0.05
_SAMPLED_ROWS = 64
"""Queries of each block whose scores are used for the fit."""
_MAX_SAMPLE = 2_000_000
_MIN_TAIL = 30
"""Fewer scores in the tail fit no distribution."""


class TooFewFaces(BiometricsError):
    """The search has seen too few scores to tell which are rare."""

    code = "duplicate_search_too_few_faces"
    status = 422
    zh = "已采集的人脸太少，无法判断哪些相似度罕见。请在更多学生采集后再检索。"
    en = "Too few faces are enrolled to tell which scores are rare. Search again once more students are enrolled."


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and its most similar face of the gallery, by their numbers."""

    query: int
    face: int
    score: float


@dataclass(slots=True, eq=False)
class NearestFaces:
    """The most similar face to each query, over galleries that are added one after the other."""

    queries: Singles
    """Unit vectors, one a row."""
    scores: Singles = field(init=False)
    faces: npt.NDArray[np.int64] = field(init=False)
    compared: int = 0
    """Pairs compared so far."""
    _added: int = 0
    _sample: list[Singles] = field(default_factory=list)
    _sampled: int = 0

    def __post_init__(self) -> None:
        self.scores = np.full(len(self.queries), -np.inf, dtype=np.float32)
        self.faces = np.full(len(self.queries), -1, dtype=np.int64)

    def add(self, gallery: Singles, own: npt.NDArray[np.int64]) -> None:
        """Compare with more faces, numbered on from those before.

        `own[i]` is the row of query i in this gallery, or -1; a query is not compared with itself.
        """
        if not len(gallery):
            return
        rows = max(1, _BLOCK_CELLS // len(gallery))
        for first in range(0, len(self.queries), rows):
            part = slice(first, first + rows)
            block = self.queries[part] @ gallery.T
            mine = own[part]
            inside = np.flatnonzero(mine >= 0)
            block[inside, mine[inside]] = -np.inf
            nearest = block.argmax(axis=1)
            best = block[np.arange(len(block)), nearest]
            better = best > self.scores[part]
            self.scores[part][better] = best[better]
            self.faces[part][better] = nearest[better] + self._added
            self._keep_sample(block)
            self.compared += block.size - len(inside)
        self._added += len(gallery)

    def _keep_sample(self, block: Singles) -> None:
        if self._sampled >= _MAX_SAMPLE:
            return
        step = max(1, len(block) // _SAMPLED_ROWS)
        seen = block[::step].ravel()
        seen = seen[np.isfinite(seen)]
        self._sample.append(seen)
        self._sampled += len(seen)

    def rare_score(self, false_pairs: float, pairs: int) -> float:
        """Return the score that strangers exceed `false_pairs` times in `pairs` comparisons. Raises `TooFewFaces`."""
        return fit_rare_score(
            np.concatenate(self._sample) if self._sample else np.empty(0), false_pairs / pairs
        )

    def pairs_from(self, score: float) -> list[Pair]:
        """The pairs at or above a score, highest first."""
        found = np.flatnonzero(self.scores >= score)
        pairs = [Pair(int(each), int(self.faces[each]), float(self.scores[each])) for each in found]
        return sorted(pairs, key=lambda pair: (-pair.score, pair.query))


def fit_rare_score(scores: npt.NDArray[np.floating], rate: float) -> float:
    """Return the score that a share `rate` of strangers' pairs exceeds. Raises `TooFewFaces`."""
    if len(scores) * _TAIL < _MIN_TAIL:
        raise TooFewFaces
    heights = np.arctanh(np.clip(scores.astype(np.float64), -_LARGEST, _LARGEST))
    start = float(np.quantile(heights, 1 - _TAIL))
    excess = float(np.median(heights[heights > start] - start)) if (heights > start).any() else 0.0
    if rate >= _TAIL:
        return math.tanh(float(np.quantile(heights, 1 - rate)))
    return math.tanh(start + excess / math.log(2) * math.log(_TAIL / rate))


def to_directions(vectors: Sequence[npt.NDArray[np.floating]] | npt.NDArray[np.floating]) -> Singles:
    """Unit vectors in single precision, one a row."""
    rows = np.asarray(vectors, dtype=np.float32)
    directions: Singles = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return directions

"""Builds templates from shots, and turns a score into one of three decisions.

dlib's customary threshold (L2 0.6) was tuned on a mostly Western set; among young East Asian people it matches a large
share of different people. Therefore a template is built from several shots, a probe is the mean of its burst, scores are
computed by `biometrics.matching.scoring`, and the thresholds are policy values tied to engine and method.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

import numpy as np

from biometrics.engines.base import Descriptor, EngineKey, Metric, Vector, distance, require_same_engine
from biometrics.errors import BiometricsError


class ShotsTooFew(BiometricsError):
    """A template needs several shots of the person."""

    code = "face_shots_too_few"
    status = 422
    zh = "合格的人脸照片只有 {usable} 张，至少需要 {needed} 张。请补拍。"
    en = "Only {usable} usable shots of the face; at least {needed} are needed. Take more."


class ShotsDisagree(BiometricsError):
    """The shots do not show the same person."""

    code = "face_shots_disagree"
    status = 422
    zh = "这些照片不像同一个人。请本人重新拍摄全部照片。"
    en = "These shots do not look like one person. Take all of them again, of yourself."


class ThresholdsInvalid(BiometricsError):
    """The thresholds are out of order, or belong to another method."""

    code = "face_thresholds_invalid"
    status = 500
    zh = "人脸阈值配置无效：{reason}。请管理员检查核验政策。"
    en = "The face thresholds are invalid: {reason}. The administrator should check the policy."


class Decision(StrEnum):
    """A rejection is never a miss by itself: a person reviews it first."""

    ACCEPT = "accept"
    STEP_UP = "step_up"
    REJECT = "reject"


class Method(StrEnum):
    """How a score is computed. Each method has its own thresholds."""

    NEUTRAL = "neutral"
    """The plain cosine: before a population is known, or if calibration finds nothing better."""
    CENTRED = "centred"
    """The cosine after subtracting a share of the population's mean from both sides."""
    AS_NORM = "as-norm"
    """Centred, then normalised against the nearest templates of a cohort from the same school."""


@dataclass(frozen=True, slots=True)
class FaceThresholds:
    """Score limits: accept from `accept_from`, reject below `reject_below`, step up in between. Larger is closer."""

    accept_from: float
    reject_below: float
    method: Method

    def __post_init__(self) -> None:
        if not -math.inf < self.reject_below <= self.accept_from < math.inf:
            raise ThresholdsInvalid(reason=f"{self.reject_below} <= {self.accept_from} does not hold")


@dataclass(frozen=True, slots=True)
class EnrolmentRules:
    """How many shots a template needs, the maximum distance between them, and what counts as one picture sent twice.

    Distances are in the engine's metric. Equal pixels are always one picture. A re-encoded copy differs in at
    most `max_hash_bits` of its perceptual hash, and its descriptor is closer than `min_shot_distance`.
    """

    min_shots: int
    max_shot_distance: float
    max_hash_bits: int = 0
    min_shot_distance: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class FaceTemplate:
    """The biometric reference of a person: the mean descriptor of several shots. The shots are not part of it."""

    engine: EngineKey
    metric: Metric
    mean: Vector
    shots: int
    spread: float
    """The largest distance between any two of the shots."""

    def descriptor(self) -> Descriptor:
        return Descriptor(self.engine, self.metric, self.mean)


def build_template(shots: Sequence[Descriptor], rules: EnrolmentRules) -> FaceTemplate:
    """Build a template from shots of one person. Raises ShotsTooFew, ShotsDisagree or EngineMismatch."""
    if len(shots) < max(1, rules.min_shots):
        raise ShotsTooFew(usable=len(shots), needed=rules.min_shots)
    spread = largest_distance(shots)
    if spread > rules.max_shot_distance:
        raise ShotsDisagree
    mean = mean_descriptor(shots)
    return FaceTemplate(mean.engine, mean.metric, mean.vector, len(shots), spread)


def mean_descriptor(descriptors: Sequence[Descriptor]) -> Descriptor:
    """The mean of at least one descriptor of one engine. Raises EngineMismatch."""
    first = descriptors[0]
    for other in descriptors[1:]:
        require_same_engine(first.engine, other.engine)
    stacked = np.stack([descriptor.vector for descriptor in descriptors]).astype(np.float64)
    return Descriptor(first.engine, first.metric, stacked.mean(axis=0).astype(np.float32))


def largest_distance(descriptors: Sequence[Descriptor]) -> float:
    """The largest distance between any two descriptors; 0 for a single one."""
    return max((distance(one, other) for one, other in combinations(descriptors, 2)), default=0.0)


def decide(score: float, method: Method, thresholds: FaceThresholds) -> Decision:
    """Apply the thresholds. Raises ThresholdsInvalid if they are for another method, or the score is not finite."""
    if method is not thresholds.method:
        raise ThresholdsInvalid(reason=f"scores by {method}, thresholds for {thresholds.method}")
    if not math.isfinite(score):
        raise ThresholdsInvalid(reason=f"{score} is not a score")
    if score >= thresholds.accept_from:
        return Decision.ACCEPT
    return Decision.REJECT if score < thresholds.reject_below else Decision.STEP_UP

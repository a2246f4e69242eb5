"""From shots to a template, and from a score to one of three answers.

dlib's customary threshold (L2 0.6) was tuned on a Western-heavy set; among young East Asian people it takes
a large share of strangers for the same person. So a template is built from several shots, a probe is the
mean of its burst, scores are made as `biometrics.matching.scoring` says, and the thresholds are policy, tied to engine and
method, passed in as a value.
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
    """The shots do not look like one person."""

    code = "face_shots_disagree"
    status = 422
    zh = "这些照片不像同一个人。请本人重新拍摄全部照片。"
    en = "These shots do not look like one person. Take all of them again, of yourself."


class ThresholdsInvalid(BiometricsError):
    """Thresholds that leave no order between accept and reject, or that belong to another method."""

    code = "face_thresholds_invalid"
    status = 500
    zh = "人脸阈值配置无效：{reason}。请管理员检查核验政策。"
    en = "The face thresholds are invalid: {reason}. The administrator should check the policy."


class Decision(StrEnum):
    """A rejection here is never a miss by itself: a person looks first."""

    ACCEPT = "accept"
    STEP_UP = "step_up"
    REJECT = "reject"


class Method(StrEnum):
    """How a score is made; each has thresholds of its own."""

    NEUTRAL = "neutral"
    """The cosine as it is: before a population is known, or where calibration finds nothing better."""
    CENTRED = "centred"
    """The cosine after a share of the population's mean is taken away from both."""
    AS_NORM = "as-norm"
    """Centred, then normalised against the nearest of a cohort of the same school's templates."""


@dataclass(frozen=True, slots=True)
class FaceThresholds:
    """Scores, larger is closer: accept from `accept_from`, reject below `reject_below`, between them step up."""

    accept_from: float
    reject_below: float
    method: Method

    def __post_init__(self) -> None:
        if not -math.inf < self.reject_below <= self.accept_from < math.inf:
            raise ThresholdsInvalid(reason=f"{self.reject_below} <= {self.accept_from} does not hold")


@dataclass(frozen=True, slots=True)
class EnrolmentRules:
    """How many shots make a template, and how far apart two shots of one person may be (engine's metric)."""

    min_shots: int
    max_shot_distance: float


@dataclass(frozen=True, slots=True, eq=False)
class FaceTemplate:
    """A person as the mean of several shots; the shots themselves are not kept."""

    engine: EngineKey
    metric: Metric
    mean: Vector
    shots: int
    spread: float
    """The largest distance between two of the shots."""

    def descriptor(self) -> Descriptor:
        return Descriptor(self.engine, self.metric, self.mean)


def build_template(shots: Sequence[Descriptor], rules: EnrolmentRules) -> FaceTemplate:
    """The template of shots that agree; raises ShotsTooFew, ShotsDisagree or EngineMismatch."""
    if len(shots) < max(1, rules.min_shots):
        raise ShotsTooFew(usable=len(shots), needed=rules.min_shots)
    spread = largest_distance(shots)
    if spread > rules.max_shot_distance:
        raise ShotsDisagree
    mean = average(shots)
    return FaceTemplate(mean.engine, mean.metric, mean.vector, len(shots), spread)


def average(descriptors: Sequence[Descriptor]) -> Descriptor:
    """The mean of at least one descriptor of one engine; raises EngineMismatch."""
    first = descriptors[0]
    for other in descriptors[1:]:
        require_same_engine(first.engine, other.engine)
    stacked = np.stack([descriptor.vector for descriptor in descriptors]).astype(np.float64)
    return Descriptor(first.engine, first.metric, stacked.mean(axis=0).astype(np.float32))


def largest_distance(descriptors: Sequence[Descriptor]) -> float:
    """The largest distance between any two; 0 for a single one."""
    return max((distance(one, other) for one, other in combinations(descriptors, 2)), default=0.0)


def decide(score: float, method: Method, thresholds: FaceThresholds) -> Decision:
    """The answer to a score; raises ThresholdsInvalid for another method's thresholds or a non-number."""
    if method is not thresholds.method:
        raise ThresholdsInvalid(reason=f"scores by {method}, thresholds for {thresholds.method}")
    if not math.isfinite(score):
        raise ThresholdsInvalid(reason=f"{score} is not a score")
    if score >= thresholds.accept_from:
        return Decision.ACCEPT
    return Decision.REJECT if score < thresholds.reject_below else Decision.STEP_UP

"""Decides whether a fix of given accuracy is inside, outside or uncertain with respect to a filed site.

HN334-3.4 requires presence "inside the school address filed with the province". A phone reports a point and an accuracy
circle, so the decision is based on a probability. Where the fix cannot tell, the decision is uncertain, which leads to
another attempt or another way of checking, never to a miss.

The rules, with P the probability that the true position is inside, d the distance to the edge (negative inside),
r the accuracy radius and sigma = r / 2.4477 (`geo.probability`):

inside      P >= inside_at, and r <= max_accuracy_m.
outside     P <= outside_at, and two guards that prevent false "outside" decisions:
            - Phi(-d / sigma) <= outside_at: a small site contains little of a wide circle even at its centre, so P alone
              would reject a student at the school's gate. This guard measures as if the site extended without end behind
              its nearest edge, which removes its size from the result. It can only make the decision milder.
            - if r > max_accuracy_m, the whole circle misses the site (d > r). Coarse fixes come from cell towers and
              Wi-Fi, whose errors are not normal, so only the 95 % circle itself is trusted.
uncertain   otherwise, with the reason.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geo.arrays import BoolArray, FloatArray, floats
from geo.errors import ThresholdsInvalid
from geo.location_fixes import Fix, combine, is_stale, validate, validate_many
from geo.probability import NEGLIGIBLE_BEYOND_SIGMA, RADIUS_95_PER_SIGMA
from geo.site import Site


class Decision(StrEnum):
    INSIDE = "inside"
    OUTSIDE = "outside"
    UNCERTAIN = "uncertain"


class FenceReason(StrEnum):
    """Why a decision is uncertain, or which fixes were ignored. `zh` and `en` say what to do."""

    NEAR_EDGE = "near_edge"
    ACCURACY_COARSE = "accuracy_coarse"
    SITE_SMALL_FOR_ACCURACY = "site_small_for_accuracy"
    STALE_FIX_LEFT_OUT = "stale_fix_left_out"

    @property
    def zh(self) -> str:
        return _SENTENCES[self][0]

    @property
    def en(self) -> str:
        return _SENTENCES[self][1]


_SENTENCES: dict[FenceReason, tuple[str, str]] = {
    FenceReason.NEAR_EDGE: (
        "定位靠近校园边界，无法确定，请往校园内走一些再试。",
        "The fix is near the edge of the site; move further inside and try again.",
    ),
    FenceReason.ACCURACY_COARSE: (
        "定位精度不足，请开启“精确位置”，到窗边或室外再试。",
        "The fix is too inaccurate; allow precise location and try again by a window or outdoors.",
    ),
    FenceReason.SITE_SMALL_FOR_ACCURACY: (
        "定位精度相对校园范围不足，请到窗边或室外再试。",
        "The fix is too inaccurate for a site of this size; try again by a window or outdoors.",
    ),
    FenceReason.STALE_FIX_LEFT_OUT: (
        "部分定位不是刚刚取得的，未予采用。",
        "Some fixes were not recent and were ignored.",
    ),
}


@dataclass(frozen=True, slots=True)
class FenceThresholds:
    """The policy's thresholds: probabilities, metres, seconds. There are no defaults."""

    inside_at: float
    outside_at: float
    max_accuracy_m: float
    max_age_s: float

    def __post_init__(self) -> None:
        if not 0.0 < self.outside_at < 1.0:
            raise ThresholdsInvalid(field="outside_at", value=self.outside_at)
        if not self.outside_at < self.inside_at < 1.0:
            raise ThresholdsInvalid(field="inside_at", value=self.inside_at)
        if not self.max_accuracy_m > 0.0:
            raise ThresholdsInvalid(field="max_accuracy_m", value=self.max_accuracy_m)
        if not self.max_age_s > 0.0:
            raise ThresholdsInvalid(field="max_age_s", value=self.max_age_s)


@dataclass(frozen=True, slots=True)
class FenceDecision:
    """The decision for one check and its basis. `judged` is the combined fix in WGS-84."""

    decision: Decision
    distance_m: float
    probability_inside: float
    reasons: tuple[FenceReason, ...]
    judged: Fix


@dataclass(frozen=True, slots=True, eq=False)
class FenceDecisions:
    """The decisions for n checks, as arrays of shape (n,). Values are those of `Decision` and `FenceReason`, or ""."""

    decision: NDArray[np.str_]
    distance_m: FloatArray
    probability_inside: FloatArray
    reason: NDArray[np.str_]


def decide(fixes: Sequence[Fix], site: Site, thresholds: FenceThresholds) -> FenceDecision:
    """Judge the fixes of one check together, in any order.

    A malformed fix rejects the check. A phone's first fix is often a cached one, so stale fixes are ignored, with a
    reason, if there is a fresh one. Raises FixStale if there is none.
    """
    fresh = [fix for fix in fixes if not is_stale(fix, max_age_s=thresholds.max_age_s)]
    for fix in fixes:
        validate(fix, max_age_s=math.inf if fresh else thresholds.max_age_s)
    judged = combine([fix.in_wgs84() for fix in fresh])
    one = decide_many(judged.lon, judged.lat, judged.accuracy_m, site, thresholds)
    reasons = [FenceReason(reason) for reason in one.reason.tolist() if reason]
    if len(fresh) < len(fixes):
        reasons.append(FenceReason.STALE_FIX_LEFT_OUT)
    return FenceDecision(
        decision=Decision(one.decision.tolist()[0]),
        distance_m=float(one.distance_m[0]),
        probability_inside=float(one.probability_inside[0]),
        reasons=tuple(reasons),
        judged=judged,
    )


def decide_many(
    lons: ArrayLike, lats: ArrayLike, accuracies_m: ArrayLike, site: Site, thresholds: FenceThresholds
) -> FenceDecisions:
    """Judge n WGS-84 positions independently. `decide` calls this function for a single one.

    Degrees and metres, each of shape (n,). Raises the errors of `geo.location_fixes` for the first invalid row.
    """
    lon, lat, radius = floats(lons), floats(lats), floats(accuracies_m)
    validate_many(lon, lat, radius)
    x, y = site.plane.project(lon, lat)
    distance, sigma = site.signed_distance(x, y), radius / RADIUS_95_PER_SIGMA

    probability = np.where(distance < 0.0, 1.0, 0.0)
    near_edge = np.abs(distance) <= NEGLIGIBLE_BEYOND_SIGMA * sigma
    probability[near_edge] = site.probability_inside(x[near_edge], y[near_edge], sigma[near_edge])

    coarse = radius > thresholds.max_accuracy_m
    inside, outside, small = _classify(probability, distance, radius, coarse, thresholds)
    decision = np.select([inside, outside], [Decision.INSIDE, Decision.OUTSIDE], Decision.UNCERTAIN)
    reason = np.select(
        [inside | outside, coarse, small],
        ["", FenceReason.ACCURACY_COARSE, FenceReason.SITE_SMALL_FOR_ACCURACY],
        FenceReason.NEAR_EDGE,
    )
    return FenceDecisions(decision, distance, probability, reason)


def _classify(
    probability: FloatArray,
    distance: FloatArray,
    radius: FloatArray,
    coarse: BoolArray,
    thresholds: FenceThresholds,
) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Which rows are inside, which are outside, and which only seem outside because the site is small."""
    inside = (probability >= thresholds.inside_at) & ~coarse
    improbable = probability <= thresholds.outside_at
    reach = -NormalDist().inv_cdf(thresholds.outside_at) / RADIUS_95_PER_SIGMA
    far = distance >= reach * radius
    misses = distance > radius
    outside = improbable & far & (misses | ~coarse)
    return inside, outside, improbable & ~far

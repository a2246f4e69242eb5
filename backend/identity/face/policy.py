"""Policy parameters as the types of the face library."""

from backend.policy import PolicyAt
from biometrics.engines.base import EngineKey
from biometrics.liveness.burst import BurstRules
from biometrics.matching.decision import EnrolmentRules, Method, ThresholdsInvalid
from biometrics.matching.scoring import NEUTRAL_VERSION, ScoringConfig
from biometrics.pictures.decoding import DecodeLimits
from biometrics.tasks import FaceRules

SHIPPED_ENGINE = "sface"
SINGLE_PICTURE_RULES = BurstRules(
    min_frames=1, min_gap_ms=0, max_gap_ms=2**31, max_frame_distance=float("inf")
)
"""Enrolment shots and portraits are single pictures, not a burst: no rules on their timing."""


def scoring(policy: PolicyAt, engine: EngineKey, population_version: int) -> ScoringConfig:
    """How an engine's scores are computed; neutral until a population is learned. Raises as `scoring_method`."""
    method = scoring_method(policy, engine)
    if method is Method.NEUTRAL or population_version == NEUTRAL_VERSION:
        return ScoringConfig(Method.NEUTRAL)
    weight = policy.ratio(f"verification.face.{engine.id}.weight")
    if method is Method.CENTRED:
        return ScoringConfig(method, weight)
    return ScoringConfig(method, weight, policy.integer(f"verification.face.{engine.id}.cohort_size"))


def scoring_method(policy: PolicyAt, engine: EngineKey) -> Method:
    """The scoring method to use once a population is learned.

    Raises `AbsentLaw` for an engine without policy, `ThresholdsInvalid` if the policy is for another version.
    """
    _require_version(policy, engine)
    return Method(policy.text(f"verification.face.{engine.id}.method"))


def _require_version(policy: PolicyAt, engine: EngineKey) -> None:
    """Scores of another version are not comparable, even if only the alignment changed."""
    measured_on = policy.text(f"verification.face.{engine.id}.version")
    if measured_on != engine.version:
        raise ThresholdsInvalid(reason=f"for {engine.id}/{measured_on}, not for {engine}")


def enrolment_rules(policy: PolicyAt, engine_id: str = SHIPPED_ENGINE) -> FaceRules:
    """The rules of an enrolment: the number of shots, and the maximum distance between two of them.

    The shots determine their engine only later. The limit of the engine for photographs also suits the test engine,
    whose persons are farther apart. Raises `AbsentLaw` for an engine without thresholds.
    """
    enrolment = EnrolmentRules(
        min_shots=policy.integer("verification.face.enrolment_shots"),
        max_shot_distance=policy.number(f"verification.face.{engine_id}.max_shot_distance"),
        max_hash_bits=policy.integer("verification.reuse.max_hash_bits"),
        min_shot_distance=policy.number(f"verification.face.{engine_id}.reuse_distance"),
    )
    return FaceRules(
        enrolment=enrolment,
        burst=SINGLE_PICTURE_RULES,
        decoding=shot_decoding(policy),
        frame_decoding=shot_decoding(policy),
    )


def shot_decoding(policy: PolicyAt) -> DecodeLimits:
    """How large a shot or portrait may be."""
    return DecodeLimits(max_unscaled_pixels=policy.integer("verification.shots.max_unscaled_pixels"))

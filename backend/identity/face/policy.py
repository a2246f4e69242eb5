"""The figures of policy as the face library wants them."""

from backend.policy import PolicyAt
from biometrics.checks import FaceRules
from biometrics.engines.base import EngineKey
from biometrics.liveness.burst import BurstRules
from biometrics.matching.decision import EnrolmentRules, FaceThresholds, Method, ThresholdsInvalid
from biometrics.matching.scoring import NEUTRAL_VERSION, Scoring

SHIPPED_ENGINE = "dlib-onnx"
ANY_RHYTHM = BurstRules(min_frames=1, min_gap_ms=0, max_gap_ms=2**31, max_frame_distance=float("inf"))
"""Enrolment shots and portraits are single pictures, not a burst: nothing is asked of their rhythm."""


def thresholds(law: PolicyAt, engine: EngineKey, method: Method) -> FaceThresholds:
    """Where an engine's scores by a method accept and reject.

    Raises AbsentLaw for one without figures, ThresholdsInvalid for another version than the one they were measured on.
    """
    _require_version(law, engine)
    figures = f"verification.face.{engine.id}.{method}"
    return FaceThresholds(
        accept_from=law.number(f"{figures}.accept_from"),
        reject_below=law.number(f"{figures}.reject_below"),
        method=method,
    )


def scoring(law: PolicyAt, engine: EngineKey, population_version: int) -> Scoring:
    """How an engine's scores are made; by the neutral method until a population is learned. Raises as `thresholds`."""
    method = intended_method(law, engine)
    if method is Method.NEUTRAL or population_version == NEUTRAL_VERSION:
        return Scoring(Method.NEUTRAL)
    weight = law.ratio(f"verification.face.{engine.id}.weight")
    if method is Method.CENTRED:
        return Scoring(method, weight)
    return Scoring(method, weight, law.integer(f"verification.face.{engine.id}.cohort_size"))


def intended_method(law: PolicyAt, engine: EngineKey) -> Method:
    """The method once a population is known. Raises as `thresholds`."""
    _require_version(law, engine)
    return Method(law.text(f"verification.face.{engine.id}.method"))


def _require_version(law: PolicyAt, engine: EngineKey) -> None:
    """Scores of another version mean something else, even if only the alignment changed."""
    measured_on = law.text(f"verification.face.{engine.id}.version")
    if measured_on != engine.version:
        raise ThresholdsInvalid(reason=f"for {engine.id}/{measured_on}, not for {engine}")


def enrolment_rules(law: PolicyAt, engine_id: str = SHIPPED_ENGINE) -> FaceRules:
    """Shots of an enrolment: as many as the law asks, no two of them as far apart as two persons.

    The shots choose their engine only later. The bound of the one for photographs serves the test engine too,
    whose persons lie farther apart. Raises AbsentLaw for an engine without figures.
    """
    enrolment = EnrolmentRules(
        min_shots=law.integer("verification.face.enrolment_shots"),
        max_shot_distance=law.number(f"verification.face.{engine_id}.max_shot_distance"),
    )
    return FaceRules(enrolment=enrolment, burst=ANY_RHYTHM)

"""The figures of policy as the face library wants them."""

from backend.policy import PolicyAt
from biometrics.checks import FaceRules
from biometrics.liveness import BurstRules
from biometrics.matching import EnrolmentRules, FaceThresholds

SHIPPED_ENGINE = "dlib-onnx"
ANY_RHYTHM = BurstRules(min_frames=1, min_gap_ms=0, max_gap_ms=2**31, max_frame_distance=float("inf"))
"""Enrolment shots and portraits are single pictures, not a burst: nothing is asked of their rhythm."""


def thresholds(law: PolicyAt, engine_id: str) -> FaceThresholds:
    """Where an engine's scores accept and reject; raises AbsentLaw for an engine without figures."""
    return FaceThresholds(
        accept_at=law.number(f"verification.face.{engine_id}.accept_max_distance"),
        reject_at=law.number(f"verification.face.{engine_id}.reject_min_distance"),
    )


def enrolment_rules(law: PolicyAt) -> FaceRules:
    """Shots of an enrolment: as many as the law asks, no two of them as far apart as two persons.

    The shots choose their engine only later. The shipped one's bound serves the test engine too, whose persons
    lie farther apart.
    """
    enrolment = EnrolmentRules(
        min_shots=law.integer("verification.face.enrolment_shots"),
        max_shot_distance=thresholds(law, SHIPPED_ENGINE).reject_at,
    )
    return FaceRules(enrolment=enrolment, burst=ANY_RHYTHM)

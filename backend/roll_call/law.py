"""The figures of a roll call, read from policy at its own date and place."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from backend.core.clock import legal_day
from backend.policy import Policy, PolicyAt, load_policies
from backend.roll_call.tables import RollCall
from biometrics.checks import FaceRules
from biometrics.liveness import BurstRules
from biometrics.matching import EnrolmentRules
from geo.fence import FenceThresholds

FACE_FIGURES = "verification.face"


@lru_cache(maxsize=1)
def policies() -> Policy:
    """The policies of this installation, read once a process."""
    return load_policies()


def law_at(day: date, place: str) -> PolicyAt:
    """The law in force on a legal day at a place."""
    return policies().at(day, place)


def law_of(roll_call: RollCall) -> PolicyAt:
    """The law that a roll call was launched under: that of its launch day, not of today (reading 14)."""
    return law_at(legal_day(roll_call.launched_at), roll_call.place)


@dataclass(frozen=True, slots=True)
class CheckInFigures:
    """Bounds that a check-in must keep."""

    challenge_lifetime: timedelta
    envelope_bytes: int
    envelopes_per_minute: int
    frames_minimum: int
    frames_maximum: int
    frame_bytes: int
    frames_grace: timedelta
    fixes_minimum: int
    fixes_maximum: int
    fix_age_s: float
    face_failures: int


def check_in_figures(law: PolicyAt) -> CheckInFigures:
    """The bounds of a check-in under `law`."""
    return CheckInFigures(
        challenge_lifetime=law.duration("verification.challenge.lifetime"),
        envelope_bytes=law.integer("verification.envelope.max_bytes"),
        envelopes_per_minute=law.integer("verification.envelope.max_per_minute"),
        frames_minimum=law.integer("verification.frames.min_count"),
        frames_maximum=law.integer("verification.frames.max_count"),
        frame_bytes=law.integer("verification.frames.max_bytes"),
        frames_grace=law.duration("verification.frames.grace"),
        fixes_minimum=law.integer("verification.fence.min_fixes"),
        fixes_maximum=law.integer("verification.fence.max_fixes"),
        fix_age_s=law.duration("verification.fence.max_age").total_seconds(),
        face_failures=law.integer("verification.face.max_failed_attempts"),
    )


def fence_thresholds(law: PolicyAt) -> FenceThresholds:
    """When a fix is inside, outside or uncertain under `law`."""
    return FenceThresholds(
        inside_at=law.ratio("verification.fence.inside_at"),
        outside_at=law.ratio("verification.fence.outside_at"),
        max_accuracy_m=law.number("verification.fence.max_accuracy"),
        max_age_s=law.duration("verification.fence.max_age").total_seconds(),
    )


def face_rules(law: PolicyAt, engine_id: str) -> FaceRules:
    """What `law` asks of an enrolment and of a burst that this engine judges."""
    prefix = f"{FACE_FIGURES}.{engine_id}"
    return FaceRules(
        enrolment=EnrolmentRules(
            min_shots=law.integer("verification.face.enrolment_shots"),
            max_shot_distance=law.number(f"{prefix}.max_shot_distance"),
        ),
        burst=BurstRules(
            min_frames=law.integer("verification.frames.min_count"),
            min_gap_ms=law.integer("verification.burst.min_gap"),
            max_gap_ms=law.integer("verification.burst.max_gap"),
            max_frame_distance=law.number(f"{prefix}.max_frame_distance"),
        ),
    )

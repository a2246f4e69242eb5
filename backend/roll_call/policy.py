"""The figures of a roll call, read from policy at its own date and place."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

from backend.core.clock import legal_day
from backend.policy import PolicyAt
from backend.policy.installed import policy_at
from backend.roll_call.launch.arrival_jitter import Window
from backend.roll_call.tables import RollCall
from biometrics.checks import FaceRules
from biometrics.liveness.burst import BurstRules, ChallengeRules
from biometrics.liveness.challenge import ActionRules
from biometrics.liveness.reuse import ReuseRules
from biometrics.liveness.risk import RiskRules
from biometrics.matching.decision import EnrolmentRules
from geo.fence import FenceThresholds

FACE_FIGURES = "verification.face"
LIVENESS_FIGURES = "verification.liveness"


def law_of(roll_call: RollCall) -> PolicyAt:
    """The law that a roll call was launched under: that of its launch day, not of today (reading 14)."""
    return policy_at(legal_day(roll_call.launched_at), roll_call.place)


def arrival_jitter_of(roll_call: RollCall) -> timedelta:
    """Over how long those who are told of a roll call are told, and come."""
    law = law_of(roll_call)
    window = Window(
        notify_at=roll_call.notify_at,
        opens_at=roll_call.opens_at,
        closes_at=roll_call.closes_at,
        minimum=law.duration("roll_call.window.minimum"),
        grace=roll_call.frames_until - roll_call.closes_at,
    )
    return window.room(law.duration("roll_call.spread"))


@dataclass(frozen=True, slots=True)
class CheckInFigures:
    """Bounds that a check-in must keep."""

    challenge_lifetime: timedelta
    challenges: int
    actions_minimum: int
    actions_maximum: int
    answer_time: timedelta
    step_ups: int
    flash_colours: int
    flash_ms: int
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
        challenges=law.integer("verification.challenge.max_draws"),
        actions_minimum=law.integer("verification.challenge.min_actions"),
        actions_maximum=law.integer("verification.challenge.max_actions"),
        answer_time=law.duration("verification.challenge.answer_time"),
        step_ups=law.integer("verification.challenge.max_step_ups"),
        flash_colours=law.integer("verification.challenge.flash_colours"),
        flash_ms=law.integer("verification.challenge.flash_time"),
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


def figures_of(launched_at: datetime, place: str) -> CheckInFigures:
    """The bounds of a check-in in a roll call launched then and there."""
    return _figures_at(legal_day(launched_at), place)


@lru_cache(maxsize=256)  # the law of a day and a place does not change while a process lives
def _figures_at(day: date, place: str) -> CheckInFigures:
    return check_in_figures(policy_at(day, place))


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
        challenge=_challenge_rules(law),
    )


def _challenge_rules(law: PolicyAt) -> ChallengeRules:
    return ChallengeRules(
        actions=ActionRules(
            closed_eyes=law.ratio(f"{LIVENESS_FIGURES}.closed_eyes"),
            closed_eyes_frames=law.integer(f"{LIVENESS_FIGURES}.closed_eyes_frames"),
            closed_mouth=law.ratio(f"{LIVENESS_FIGURES}.closed_mouth"),
            open_mouth=law.ratio(f"{LIVENESS_FIGURES}.open_mouth"),
            min_turn=law.number(f"{LIVENESS_FIGURES}.min_turn"),
            min_depth=law.number(f"{LIVENESS_FIGURES}.min_depth"),
            unasked_frames=law.integer(f"{LIVENESS_FIGURES}.unasked_frames"),
        ),
        max_span_ms=round(1000 * law.duration("verification.challenge.answer_time").total_seconds()),
        max_lost_frames=law.integer(f"{LIVENESS_FIGURES}.max_lost_frames"),
        max_nose_offset=law.number(f"{LIVENESS_FIGURES}.max_nose_offset"),
        max_jump=law.number(f"{LIVENESS_FIGURES}.max_jump"),
        max_growth=law.number(f"{LIVENESS_FIGURES}.max_growth"),
        risk=_risk_rules(law),
    )


def _risk_rules(law: PolicyAt) -> RiskRules:
    """A row of the table for each signal; raises TypeError for a signal that there is not, or that is missing."""
    spans = {
        str(row["signal"]): (float(row["counts_from"]), float(row["in_full_from"]))
        for row in law.table(f"{LIVENESS_FIGURES}.risk")
    }
    return RiskRules(**spans)


def reuse_rules(law: PolicyAt, engine_id: str) -> ReuseRules:
    """From where a burst looks like pictures that were used before."""
    return ReuseRules(
        max_hash_bits=law.integer("verification.reuse.max_hash_bits"),
        min_like_frames=law.integer("verification.reuse.min_like_frames"),
        min_distance=law.number(f"{FACE_FIGURES}.{engine_id}.reuse_distance"),
    )

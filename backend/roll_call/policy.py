"""Typed access to the policy parameters of a roll call, as of its launch day and place."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

from backend.core.clock import legal_day
from backend.policy import PolicyAt
from backend.policy.installed import policy_at
from backend.roll_call.launch.arrival_jitter import ArrivalWindow
from backend.roll_call.tables import RollCall
from biometrics.liveness.burst import BurstRules, ChallengeRules
from biometrics.liveness.challenge import ActionRules
from biometrics.liveness.presence import PresenceRules
from biometrics.liveness.reactions import CueRules
from biometrics.liveness.reuse import ReuseRules
from biometrics.liveness.risk import RiskRules
from biometrics.matching.decision import EnrolmentRules
from biometrics.pictures.decoding import DecodeLimits
from biometrics.tasks import FaceRules
from geo.fence import FenceThresholds
from geo.position_signals import SignalLimits, SignalName

POSITION_PREFIX = "verification.position"
FACE_PREFIX = "verification.face"
LIVENESS_PREFIX = "verification.liveness"


def roll_call_policy(roll_call: RollCall) -> PolicyAt:
    """The policy that a roll call was launched under: that of its launch day, not of today (reading 14)."""
    return policy_at(legal_day(roll_call.launched_at), roll_call.place)


def max_arrival_jitter(roll_call: RollCall) -> timedelta:
    """The period over which the notices of a roll call, and so the arrivals, are spread."""
    policy = roll_call_policy(roll_call)
    window = ArrivalWindow(
        notify_at=roll_call.notify_at,
        opens_at=roll_call.opens_at,
        closes_at=roll_call.closes_at,
        minimum=policy.duration("roll_call.window.minimum"),
        grace=roll_call.frames_until - roll_call.closes_at,
    )
    return window.max_jitter(policy.duration("roll_call.spread"))


@dataclass(frozen=True, slots=True)
class CheckInLimits:
    """Limits for a check-in."""

    challenge_lifetime: timedelta
    challenges: int
    actions_minimum: int
    actions_maximum: int
    answer_time: timedelta
    step_ups: int
    flash_colours: int
    flash_ms: int
    cues: CueRules
    envelope_bytes: int
    envelopes_per_minute: int
    frames_minimum: int
    frames_maximum: int
    frame_decoding: DecodeLimits
    frames_grace: timedelta
    fixes_minimum: int
    fixes_maximum: int
    fix_age_s: float
    sampling_s: float
    face_failures: int


def check_in_limits(policy: PolicyAt) -> CheckInLimits:
    """The limits for a check-in under a policy."""
    return CheckInLimits(
        challenge_lifetime=policy.duration("verification.challenge.lifetime"),
        challenges=policy.integer("verification.challenge.max_draws"),
        actions_minimum=policy.integer("verification.challenge.min_actions"),
        actions_maximum=policy.integer("verification.challenge.max_actions"),
        answer_time=policy.duration("verification.challenge.answer_time"),
        step_ups=policy.integer("verification.challenge.max_step_ups"),
        flash_colours=policy.integer("verification.challenge.flash_colours"),
        flash_ms=policy.integer("verification.challenge.flash_time"),
        cues=cue_rules(policy),
        envelope_bytes=policy.integer("verification.envelope.max_bytes"),
        envelopes_per_minute=policy.integer("verification.envelope.max_per_minute"),
        frames_minimum=policy.integer("verification.frames.min_count"),
        frames_maximum=policy.integer("verification.frames.max_count"),
        frame_decoding=frame_decoding(policy),
        frames_grace=policy.duration("verification.frames.grace"),
        fixes_minimum=policy.integer("verification.fence.min_fixes"),
        fixes_maximum=policy.integer("verification.fence.max_fixes"),
        fix_age_s=policy.duration("verification.fence.max_age").total_seconds(),
        sampling_s=policy.duration("verification.fence.sampling_time").total_seconds(),
        face_failures=policy.integer("verification.face.max_failed_attempts"),
    )


def load_check_in_limits(launched_at: datetime, place: str) -> CheckInLimits:
    """The limits for a check-in in a roll call, by its launch time and place."""
    return _load_limits(legal_day(launched_at), place)


@lru_cache(maxsize=256)  # the policy of a day and place does not change during the lifetime of a process
def _load_limits(day: date, place: str) -> CheckInLimits:
    return check_in_limits(policy_at(day, place))


def fence_thresholds(policy: PolicyAt) -> FenceThresholds:
    """Thresholds for a position to count as inside, outside or uncertain."""
    return FenceThresholds(
        inside_at=policy.ratio("verification.fence.inside_at"),
        outside_at=policy.ratio("verification.fence.outside_at"),
        max_accuracy_m=policy.number("verification.fence.max_accuracy"),
        max_age_s=policy.duration("verification.fence.max_age").total_seconds(),
    )


@dataclass(frozen=True, slots=True)
class PositionRules:
    """How the signals of a position are found and weighed, and the score that asks for a second check."""

    limits: SignalLimits
    weights: Mapping[SignalName, float]
    step_up_from: float


def position_rules(policy: PolicyAt) -> PositionRules:
    """Rules for the signals of a position. Raises KeyError unless the policy weighs exactly the known signals."""
    weights = {
        SignalName(str(row["signal"])): float(row["weight"])
        for row in policy.table(f"{POSITION_PREFIX}.weights")
    }
    if len(weights) != len(SignalName):
        raise KeyError(f"{POSITION_PREFIX}.weights")
    return PositionRules(
        limits=SignalLimits(
            min_fixes=policy.integer("verification.fence.min_fixes"),
            max_speed_m_s=policy.number(f"{POSITION_PREFIX}.max_speed"),
            travel_slack_s=policy.duration(f"{POSITION_PREFIX}.travel_slack").total_seconds(),
            min_jitter_m=policy.number(f"{POSITION_PREFIX}.min_jitter"),
            min_accuracy_m=policy.number(f"{POSITION_PREFIX}.min_accuracy"),
            satellite_accuracy_m=policy.number(f"{POSITION_PREFIX}.satellite_accuracy"),
            min_sampling_s=policy.duration(f"{POSITION_PREFIX}.min_sampling").total_seconds(),
            one_instant_s=policy.number(f"{POSITION_PREFIX}.one_instant"),
        ),
        weights=weights,
        step_up_from=policy.ratio(f"{POSITION_PREFIX}.step_up_from"),
    )


def position_history(policy: PolicyAt) -> timedelta:
    """The period whose earlier check-ins a position is compared with."""
    return policy.duration(f"{POSITION_PREFIX}.history")


def face_rules(policy: PolicyAt, engine_id: str) -> FaceRules:
    """Rules for enrolments and bursts that are checked with this face engine."""
    prefix = f"{FACE_PREFIX}.{engine_id}"
    return FaceRules(
        enrolment=EnrolmentRules(
            min_shots=policy.integer("verification.face.enrolment_shots"),
            max_shot_distance=policy.number(f"{prefix}.max_shot_distance"),
        ),
        burst=BurstRules(
            min_frames=policy.integer("verification.frames.min_count"),
            min_gap_ms=policy.integer("verification.burst.min_gap"),
            max_gap_ms=policy.integer("verification.burst.max_gap"),
            max_frame_distance=policy.number(f"{prefix}.max_frame_distance"),
        ),
        challenge=_challenge_rules(policy),
        frame_decoding=frame_decoding(policy),
    )


def frame_decoding(policy: PolicyAt) -> DecodeLimits:
    """How large the frames of a burst may be, each and all together."""
    return DecodeLimits(
        max_bytes=policy.integer("verification.frames.max_bytes"),
        max_pixels=policy.integer("verification.frames.max_pixels"),
        max_unscaled_pixels=policy.integer("verification.frames.max_unscaled_pixels"),
        max_total_pixels=policy.integer("verification.frames.max_total_pixels"),
    )


def _challenge_rules(policy: PolicyAt) -> ChallengeRules:
    return ChallengeRules(
        actions=ActionRules(
            closed_eyes=policy.ratio(f"{LIVENESS_PREFIX}.closed_eyes"),
            closed_eyes_frames=policy.integer(f"{LIVENESS_PREFIX}.closed_eyes_frames"),
            closed_mouth=policy.ratio(f"{LIVENESS_PREFIX}.closed_mouth"),
            open_mouth=policy.ratio(f"{LIVENESS_PREFIX}.open_mouth"),
            min_turn=policy.number(f"{LIVENESS_PREFIX}.min_turn"),
            min_depth=policy.number(f"{LIVENESS_PREFIX}.min_depth"),
            unasked_frames=policy.integer(f"{LIVENESS_PREFIX}.unasked_frames"),
        ),
        max_span_ms=round(1000 * policy.duration("verification.challenge.answer_time").total_seconds()),
        max_lost_frames=policy.integer(f"{LIVENESS_PREFIX}.max_lost_frames"),
        max_nose_offset=policy.number(f"{LIVENESS_PREFIX}.max_nose_offset"),
        max_jump=policy.number(f"{LIVENESS_PREFIX}.max_jump"),
        max_growth=policy.number(f"{LIVENESS_PREFIX}.max_growth"),
        risk=_risk_rules(policy),
        presence=PresenceRules(
            min_change=policy.ratio(f"{LIVENESS_PREFIX}.min_change"),
            min_flash=policy.number(f"{LIVENESS_PREFIX}.min_flash")
            if policy.flag(f"{LIVENESS_PREFIX}.flash_counts")
            else None,
            cues=cue_rules(policy),
        ),
    )


def cue_rules(policy: PolicyAt) -> CueRules:
    """When the cues of a challenge come, and how fast a person reacts to them."""
    return CueRules(
        min_gap_ms=policy.integer("verification.challenge.cue_min_gap"),
        max_gap_ms=policy.integer("verification.challenge.cue_max_gap"),
        max_end_ms=policy.integer("verification.challenge.cue_max_end"),
        min_reaction_ms=policy.integer(f"{LIVENESS_PREFIX}.min_reaction"),
        max_reaction_ms=policy.integer(f"{LIVENESS_PREFIX}.max_reaction"),
    )


def presence_is_advisory(policy: PolicyAt) -> bool:
    """Whether the signals of presence are only recorded and never ask for a second check."""
    return policy.flag(f"{LIVENESS_PREFIX}.presence_advisory")


def _risk_rules(policy: PolicyAt) -> RiskRules:
    """One table row per risk signal. Raises `TypeError` for an unknown or missing signal."""
    spans = {
        str(row["signal"]): (float(row["counts_from"]), float(row["in_full_from"]))
        for row in policy.table(f"{LIVENESS_PREFIX}.risk")
    }
    return RiskRules(**spans)


def reuse_rules(policy: PolicyAt, engine_id: str) -> ReuseRules:
    """Thresholds for a burst to count as reused pictures."""
    return ReuseRules(
        max_hash_bits=policy.integer("verification.reuse.max_hash_bits"),
        min_like_frames=policy.integer("verification.reuse.min_like_frames"),
        min_distance=policy.number(f"{FACE_PREFIX}.{engine_id}.reuse_distance"),
    )

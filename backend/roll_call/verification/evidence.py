"""From what the libraries measured to evidence for the rule, and the trace that lets a person follow it. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from backend.identity.face import policy as face_policy
from backend.policy import PolicyAt
from backend.roll_call.policy import face_rules, fence_thresholds, reuse_rules
from biometrics.checks import BurstResult
from biometrics.liveness.reuse import Kept, ReuseSignals, reuse_signals
from biometrics.matching.decision import Decision, FaceTemplate, decide
from biometrics.pictures.quality import Reason
from geo.fence import FenceDecision

_FACE = {Decision.ACCEPT: "accept", Decision.STEP_UP: "step_up", Decision.REJECT: "reject"}


@dataclass(frozen=True, slots=True)
class FaceFinding:
    """What a burst says. `face` as in `rules.Evidence`; None when it could not be judged."""

    face: str | None = None
    reasons: tuple[str, ...] = ()
    liveness: tuple[str, ...] = ()
    likeness: tuple[str, ...] = ()


def face_finding(law: PolicyAt, burst: BurstResult, reuse: ReuseSignals) -> FaceFinding:
    """The burst under the thresholds of `law`. Poor pictures are no answer, and no failed one either."""
    liveness, likeness = _codes(burst.liveness.reasons), _codes(reuse.reasons)
    if burst.score is None or burst.quality_reasons:
        return FaceFinding("unusable", (*_codes(burst.quality_reasons), *liveness), likeness=likeness)
    score = burst.score
    thresholds = face_policy.thresholds(law, burst.engine.key, score.method)
    decision = decide(score.value, score.method, thresholds)
    if decision is Decision.ACCEPT and score.nearer_in_roster:
        return FaceFinding("step_up", ("nearer_classmate",), liveness, likeness)
    return FaceFinding(_FACE[decision], (), liveness, likeness)


def reuse_of(law: PolicyAt, burst: BurstResult, kept: Sequence[Kept], template: FaceTemplate) -> ReuseSignals:
    """The burst against what was kept of the same student."""
    rules = reuse_rules(law, burst.engine.key.id)
    return reuse_signals(burst.probe, hashes_of(burst), kept, template, rules)


def hashes_of(burst: BurstResult) -> list[int]:
    """The perceptual hashes of all frames that could be decoded."""
    return [report.fingerprint.phash for report in burst.frames if report.fingerprint is not None]


def fence_trace(law: PolicyAt, fence: FenceDecision) -> dict[str, Any]:
    """How the position was judged."""
    thresholds = fence_thresholds(law)
    return {
        "decision": fence.decision.value,
        "distance_m": round(fence.distance_m, 2),
        "probability_inside": round(fence.probability_inside, 6),
        "accuracy_m": round(fence.judged.accuracy_m, 2),
        "reasons": [reason.value for reason in fence.reasons],
        "inside_at": thresholds.inside_at,
        "outside_at": thresholds.outside_at,
    }


def face_trace(law: PolicyAt, burst: BurstResult, finding: FaceFinding) -> dict[str, Any]:
    """How the face was judged: figures, thresholds, engine, no picture."""
    return {
        "decision": finding.face,
        "engine": str(burst.engine.key),
        **_scored(law, burst),
        "quality": list(_codes(burst.quality_reasons)),
        "frames": [list(_codes(report.reasons)) for report in burst.frames],
        "ms": burst.ms,
    }


def _scored(law: PolicyAt, burst: BurstResult) -> dict[str, Any]:
    if burst.score is None:
        return {"score": None}
    limits = face_policy.thresholds(law, burst.engine.key, burst.score.method)
    return {
        "score": round(burst.score.value, 6),
        "method": burst.score.method.value,
        "population": burst.score.population_version,
        "nearer_in_class": burst.score.nearer_in_roster,
        "accept_from": limits.accept_from,
        "reject_below": limits.reject_below,
    }


def liveness_trace(law: PolicyAt, burst: BurstResult, answered_after: timedelta) -> dict[str, Any]:
    """What was asked and seen, in which frames, by which thresholds.

    `answered_after` is what the server saw between its challenge and the envelope. A burst that claims to be longer was
    not taken in between: a sign of a script, for the person who looks.
    """
    rules = face_rules(law, burst.engine.key.id).challenge
    assert rules is not None
    return {
        "reasons": list(_codes(burst.liveness.reasons)),
        **burst.liveness.figures(),
        "contour_model": burst.engine.contour_model,
        "answered_after_s": round(answered_after.total_seconds(), 3),
        "thresholds": asdict(rules),
    }


def reuse_trace(law: PolicyAt, burst: BurstResult, reuse: ReuseSignals, kept: int) -> dict[str, Any]:
    """How much the burst looks like the `kept` records of earlier pictures."""
    return {
        "reasons": list(_codes(reuse.reasons)),
        "kept": kept,
        "like_frames": reuse.like_frames,
        "nearest_selfie": _rounded(reuse.nearest_selfie),
        "to_template": _rounded(reuse.to_template),
        "thresholds": asdict(reuse_rules(law, burst.engine.key.id)),
    }


def _codes(reasons: Iterable[Reason]) -> tuple[str, ...]:
    return tuple(reason.code for reason in reasons)


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 6)

"""Analysis of one submission: position and face checks, the verdict, and the trace that lets a person follow it."""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

import structlog

from backend.campus.fences import decide_for_sites
from backend.core.app_context import AppContext
from backend.identity.face.calibration.lookup import StudentThresholds
from backend.identity.face.pool import face_pool
from backend.identity.pictures.store import get_picture
from backend.policy import PolicyAt
from backend.roll_call.envelope import Envelope, parse_stored_envelope
from backend.roll_call.policy import (
    check_in_limits,
    face_rules,
    fence_thresholds,
    position_rules,
    presence_is_advisory,
    reuse_rules,
    roll_call_policy,
)
from backend.roll_call.rules import REHEARSAL, Evidence, Verdict, decide_verdict
from backend.roll_call.verification.inputs import VerificationInput
from biometrics.errors import BiometricsError
from biometrics.liveness.actions import Action
from biometrics.liveness.flash import screen_colour_at
from biometrics.liveness.reuse import ReuseSignals, reuse_signals
from biometrics.matching.decision import Decision, decide
from biometrics.matching.scoring import MatchReference
from biometrics.pictures.quality import Reason
from biometrics.pool import FacePoolClosed
from biometrics.tasks import BurstResult, Shot
from biometrics.templates.sealing import PictureUnreadable
from geo.cells import Cell, cell_at
from geo.fence import Decision as FencePlace
from geo.fence import FenceDecision
from geo.position_signals import PositionRisk, score_position

_FACE = {Decision.ACCEPT: "accept", Decision.STEP_UP: "step_up", Decision.REJECT: "reject"}

log = structlog.get_logger()


class FrameAltered(Exception):
    """A frame in the evidence store is not what was stored, or not what the phone signed, so it cannot be used."""

    code = "frame_altered"


@dataclass(frozen=True, slots=True)
class Analysis:
    """The verdict about a submission with its evidence, its trace, and the burst result if the face could be checked."""

    verdict: Verdict
    evidence: Evidence
    trace: dict[str, Any]
    burst: BurstResult | None
    calibrates: bool = False
    """Thresholds may be learned from this check-in of a rehearsal, once the counselor confirms it."""
    cell: Cell | None = None
    """The cell of 50 m of the position, if it is inside a site. It is counted without the student."""


@dataclass(frozen=True, slots=True)
class FaceEvidence:
    """The face part of `rules.Evidence`; `face` is None if the face could not be checked."""

    face: str | None = None
    reasons: tuple[str, ...] = ()
    liveness: tuple[str, ...] = ()
    presence: tuple[str, ...] = ()
    likeness: tuple[str, ...] = ()


async def analyse_submission(app_context: AppContext, inputs: VerificationInput) -> Analysis:
    """Check position and face outside any transaction. A check that cannot be made leaves its evidence empty."""
    law = roll_call_policy(inputs.roll_call)
    submission = inputs.submission
    trace: dict[str, Any] = {"policy_version": law.version, "in_cool_down": submission.in_cool_down}
    envelope = parse_stored_envelope(submission.envelope)
    fence = _check_fence(inputs, envelope, law)
    if fence is not None:
        trace["fence"] = fence_trace(law, fence)
    risk = _score_position(inputs, envelope, law)
    trace["position"] = position_trace(law, risk, len(inputs.earlier_positions))
    complete = len(inputs.frames) == submission.frame_count
    face, burst = FaceEvidence(), None
    if complete and inputs.reference is not None:
        try:
            burst = await _check_burst(app_context, inputs, envelope, inputs.reference, law)
        except FacePoolClosed:  # this worker is stopping; another one verifies the submission
            raise
        except (BiometricsError, FileNotFoundError, FrameAltered) as error:
            face = FaceEvidence(reasons=(getattr(error, "code", "frame_lost"),))
            log.warning("face check failed", submission=str(submission.id), code=face.reasons[0])
        else:
            face, details = _evaluate_burst(law, inputs, inputs.reference, burst)
            trace |= details
    advisory = presence_is_advisory(law) or app_context.settings.face_demonstration
    if advisory and face.presence:
        trace["presence"] = {"advisory": True, "doubts": list(face.presence)}
    evidence = Evidence(
        frames_complete=complete,
        fence=None if fence is None else fence.decision.value,
        fence_reasons=() if fence is None else tuple(reason.value for reason in fence.reasons),
        face=face.face,
        face_reasons=face.reasons,
        liveness=face.liveness,
        presence=() if advisory else face.presence,
        likeness=face.likeness,
        reused=inputs.reused,
        in_cool_down=submission.in_cool_down,
        position_doubtful=risk.score >= position_rules(law).step_up_from,
        look_barred=inputs.look_barred,
    )
    calibrates = inputs.roll_call.kind == REHEARSAL and _shows_presence(evidence, inputs.thresholds)
    cell = None
    if fence is not None and fence.decision is FencePlace.INSIDE:
        cell = cell_at(fence.judged.lon, fence.judged.lat)
    return Analysis(decide_verdict(evidence), evidence, trace, burst, calibrates, cell)


def _shows_presence(evidence: Evidence, thresholds: StudentThresholds | None) -> bool:
    """Whether everything but the score passed, and no threshold contradicts the face."""
    return (
        evidence.frames_complete
        and evidence.fence == "inside"
        and evidence.face in {"accept", "step_up", "unproven"}
        and not (evidence.liveness or evidence.presence or evidence.likeness)
        and not (evidence.reused or evidence.position_doubtful)
        and thresholds is not None
        and not thresholds.fixed
    )


def _check_fence(inputs: VerificationInput, envelope: Envelope, law: PolicyAt) -> FenceDecision | None:
    if not inputs.sites:
        return None
    fixes = [fix.to_fix() for fix in envelope.fixes]
    return decide_for_sites(fixes, inputs.sites, fence_thresholds(law))


def _score_position(inputs: VerificationInput, envelope: Envelope, law: PolicyAt) -> PositionRisk:
    rules = position_rules(law)
    fixes = [fix.to_fix() for fix in envelope.fixes]
    return score_position(fixes, earlier=inputs.earlier_positions, limits=rules.limits, weights=rules.weights)


async def _check_burst(
    app_context: AppContext,
    inputs: VerificationInput,
    envelope: Envelope,
    reference: MatchReference,
    law: PolicyAt,
) -> BurstResult:
    declared = envelope.frames
    images = await _read_frames(app_context, inputs)
    for data, frame in zip(images, declared, strict=True):
        if hashlib.sha256(data).hexdigest() != frame.sha256:
            raise FrameAltered
    rules = face_rules(law, reference.template.engine.id)
    # The client only claims that its screen flashed. The flash check can raise the risk but never lowers it.
    flash = inputs.challenge.flash if envelope.claims.get("flash") is True else ()
    colour_ms = check_in_limits(law).flash_ms
    burst = [
        Shot(data, frame.at_ms, screen_colour_at(flash, colour_ms, frame.at_ms))
        for data, frame in zip(images, declared, strict=True)
    ]
    actions = tuple(Action(code) for code in inputs.challenge.actions)
    # A claim that it showed the actions one by one can only raise doubts, too.
    cues = inputs.challenge.cues_ms if envelope.claims.get("cues") is True else ()
    result: BurstResult = await app_context.service(face_pool).verify(burst, reference, rules, actions, cues)
    return result


async def _read_frames(app_context: AppContext, inputs: VerificationInput) -> list[bytes]:
    """Open the sealed frames. Raises FileNotFoundError, or FrameAltered for a file that its key does not open."""
    try:
        return [await get_picture(app_context, inputs.picture_key, picture) for picture in inputs.frames]
    except PictureUnreadable as error:
        raise FrameAltered from error


def _evaluate_burst(
    law: PolicyAt, inputs: VerificationInput, reference: MatchReference, burst: BurstResult
) -> tuple[FaceEvidence, dict[str, Any]]:
    """Evaluate the burst under the student's thresholds; returns the evidence and the parts of the trace."""
    assert inputs.thresholds is not None  # it comes with the reference
    rules = reuse_rules(law, burst.engine.key.id)
    reuse = reuse_signals(burst.probe, frame_hashes(burst), inputs.earlier, reference.template, rules)
    face = _face_evidence(inputs.thresholds, burst, reuse)
    answered_after = inputs.submission.received_at - inputs.challenge.issued_at
    return face, {
        "face": face_trace(inputs.thresholds, burst, face),
        "reuse": reuse_trace(law, burst, reuse, len(inputs.earlier)),
        "liveness": liveness_trace(law, burst, answered_after),
    }


def _face_evidence(thresholds: StudentThresholds, burst: BurstResult, reuse: ReuseSignals) -> FaceEvidence:
    """Return what the burst shows. Poor pictures are `unusable`: neither an answer nor a failed one.

    Without thresholds the face is `unproven`: the score decides nothing, except that a classmate is nearer.
    """
    shown = FaceEvidence(
        liveness=_codes(burst.liveness.reasons),
        presence=_codes(burst.liveness.doubts),
        likeness=_codes(reuse.reasons),
    )
    score = burst.score
    if score is None or burst.quality_reasons:
        unusable = (*_codes(burst.quality_reasons), *shown.liveness)
        return FaceEvidence("unusable", unusable, likeness=shown.likeness)
    limits = thresholds.limits
    face = "unproven" if limits is None else _FACE[decide(score.value, score.method, limits)]
    if face in {"accept", "unproven"} and score.nearer_in_roster:
        return replace(shown, face="step_up", reasons=("nearer_classmate",))
    return replace(shown, face=face)


def frame_hashes(burst: BurstResult) -> list[int]:
    """Return the perceptual hashes of all frames that could be decoded."""
    return [report.fingerprint.phash for report in burst.frames if report.fingerprint is not None]


# --- traces ---


def fence_trace(law: PolicyAt, fence: FenceDecision) -> dict[str, Any]:
    """Return how the position was evaluated."""
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


def position_trace(law: PolicyAt, risk: PositionRisk, compared: int) -> dict[str, Any]:
    """Return the signals of the position with their weights; `compared` is the number of earlier check-ins.

    A speed without limit (two places at one time) is None, because JSON has no infinity.
    """
    return {
        "score": round(risk.score, 6),
        "step_up_from": position_rules(law).step_up_from,
        "compared": compared,
        "signals": [
            {
                "name": signal.name.value,
                "measured": round(signal.measured, 6) if math.isfinite(signal.measured) else None,
                "limit": signal.limit,
                "weight": weight,
            }
            for signal, weight in risk.signals
        ],
    }


def face_trace(thresholds: StudentThresholds, burst: BurstResult, result: FaceEvidence) -> dict[str, Any]:
    """Return how the face was evaluated: score, thresholds with their version and group, and engine, but no picture."""
    return {
        "decision": result.face,
        "engine": str(burst.engine.key),
        **_score_trace(burst),
        **thresholds.trace(),
        "quality": list(_codes(burst.quality_reasons)),
        "frames": [list(_codes(report.reasons)) for report in burst.frames],
        "ms": burst.ms,
    }


def _score_trace(burst: BurstResult) -> dict[str, Any]:
    if burst.score is None:
        return {"score": None}
    return {
        "score": round(burst.score.value, 6),
        "method": burst.score.method.value,
        "population": burst.score.population_version,
        "nearer_in_class": burst.score.nearer_in_roster,
    }


def liveness_trace(law: PolicyAt, burst: BurstResult, answered_after: timedelta) -> dict[str, Any]:
    """Return which actions were asked and recognised, in which frames, and by which thresholds.

    `answered_after` is the time between challenge and envelope on the server's clock. A burst that claims to be longer
    was not taken in that time: a sign of a script, for the person who reviews it.
    """
    rules = face_rules(law, burst.engine.key.id).challenge
    assert rules is not None
    return {
        "reasons": list(_codes(burst.liveness.reasons)),
        **burst.liveness.figures(),
        "contour_model": burst.engine.landmark_model,
        "answered_after_s": round(answered_after.total_seconds(), 3),
        "thresholds": asdict(rules),
    }


def reuse_trace(law: PolicyAt, burst: BurstResult, reuse: ReuseSignals, kept: int) -> dict[str, Any]:
    """Return how similar the burst is to the records of earlier pictures; `kept` is their number."""
    return {
        "reasons": list(_codes(reuse.reasons)),
        "kept": kept,
        "like_frames": reuse.like_frames,
        "nearest_selfie": _round_figure(reuse.nearest_selfie),
        "to_template": _round_figure(reuse.to_template),
        "thresholds": asdict(reuse_rules(law, burst.engine.key.id)),
    }


def _codes(reasons: Iterable[Reason]) -> tuple[str, ...]:
    return tuple(reason.code for reason in reasons)


def _round_figure(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 6)

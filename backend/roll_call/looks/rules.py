"""Rules of looks as pure functions: which check-ins need one, who answers, and what an answer changes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from backend.roll_call.rules import (
    FACE_DOUBTS,
    MISMATCH,
    NEEDS_LOOK,
    Evidence,
    Outcome,
    Verdict,
    VerdictDecision,
)
from biometrics.tasks import BurstResult

LOOK_METHOD: Final = "look"
LOOKED_AT = "looked_at"
NOT_UPHELD = "look_not_upheld"
REVIEW = "review"
"""Reason of a request that reviews the answer of a school."""
DOUBTS = FACE_DOUBTS | {MISMATCH}


class Side(StrEnum):
    """Who answers: the checked school, or the authority that launched the roll call."""

    SCHOOL = "school"
    LAUNCHER = "launcher"


class Same(StrEnum):
    """The answer to the question whether picture and portrait show the same person."""

    YES = "yes"
    NO = "no"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Slots:
    """The looks that a class has left in a roll call: attestations and looks of a school share one quota."""

    quota: int
    used: int

    @property
    def left(self) -> bool:
        return self.used < self.quota


def find_side(
    verdict: Verdict, evidence: Evidence, *, exhausted: bool, school_may: bool
) -> tuple[Side, str] | None:
    """Return who looks at a check-in, and the reason; None if no person needs to.

    A face that no score can confirm is looked at by the school, as long as `school_may`. A doubt is looked at by the
    launching side, once the automatic attempts are `exhausted`, because a school may profit from a false answer. A look
    answers only whose face it is: everything else must have passed.
    """
    if verdict.decision is VerdictDecision.UNDETERMINED:
        if NEEDS_LOOK not in verdict.reasons:
            return None
        return (Side.SCHOOL if school_may else Side.LAUNCHER), NEEDS_LOOK
    doubt = next((reason for reason in verdict.reasons if reason in DOUBTS), None)
    if not exhausted or doubt is None or not _passed_apart_from_face(evidence):
        return None
    return Side.LAUNCHER, doubt


def _passed_apart_from_face(evidence: Evidence) -> bool:
    return (
        evidence.frames_complete
        and evidence.fence == "inside"
        and evidence.face != "unusable"
        and not (evidence.reused or evidence.in_cool_down or evidence.position_doubtful)
    )


def choose_frames(burst: BurstResult) -> tuple[int, ...]:
    """Return the positions of the pictures that decide: the straightest at rest, and the one that shows most of an action.

    Empty if no frame has a usable face.
    """
    offsets = {
        index: abs(report.quality.nose_offset)
        for index, report in enumerate(burst.frames)
        if report.quality is not None and report.face is not None
    }
    if not offsets:
        return ()
    at_rest = [index for index in burst.liveness.at_rest if index in offsets] or list(offsets)
    straight = min(at_rest, key=lambda index: (offsets[index], index))
    peaks = {each.peak for each in burst.liveness.detected} & offsets.keys() - {straight}
    acting = max(
        peaks or offsets.keys() - {straight}, key=lambda index: (offsets[index], -index), default=None
    )
    return (straight,) if acting is None else (straight, acting)


def passed_apart_from_face(trace: Mapping[str, Any]) -> bool:
    """Whether the trace of a verdict has a position inside and neither a doubtful position nor a new phone."""
    position = trace["position"]
    return (
        trace.get("fence", {}).get("decision") == "inside"
        and not trace["in_cool_down"]
        and position["score"] < position["step_up_from"]
        and trace.get("face", {}).get("decision") not in {None, "unusable"}
    )


def choose_recorded_frames(trace: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the positions of the pictures that decide, from the trace of a verdict: one at rest, one with an action."""
    liveness = trace.get("liveness", {})
    at_rest = [int(each) for each in liveness.get("at_rest", ())]
    peaks = [int(each["frames"][1]) for each in liveness.get("seen", ())]
    return tuple(dict.fromkeys([*at_rest[:1], *(peaks[:1] or at_rest[-1:])]))


@dataclass(frozen=True, slots=True)
class Effect:
    """What an answer leads to: an outcome with its reason, a question to the launching side, or neither."""

    outcome: Outcome | None = None
    reason: str = ""
    ask_launcher: bool = False


def decide_answer(side: Side, same: Same) -> Effect:
    """Decide what an answer about a check-in changes. Only "yes" makes present; nothing makes missed."""
    if same is Same.YES:
        return Effect(Outcome.PRESENT, LOOKED_AT)
    return Effect(ask_launcher=side is Side.SCHOOL and same is Same.UNSURE)


def decide_review(same: Same) -> Effect:
    """Decide what the review of a school's answer changes: without a second "yes" the result is undetermined again."""
    return Effect() if same is Same.YES else Effect(Outcome.UNDETERMINED, NOT_UPHELD)


def find_bar(*, has_portrait: bool, consents: Collection[str], needed: Sequence[str]) -> str | None:
    """Return why no person may look at a student's pictures, as a reason code, or None."""
    if not has_portrait:
        return "look_without_portrait"
    if not set(needed) <= set(consents):
        return "look_without_consent"
    return None

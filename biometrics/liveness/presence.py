"""Signals that a burst was not taken by a camera in front of a living face. They ask for a second look, never reject.

Each was measured by itself (docs/biometrics.md): the change of the face between two moments, the reaction to cues at
random instants, and the reflection of the screen's colours. An honest student may cause each of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from biometrics.liveness.actions import Action
from biometrics.liveness.challenge import DetectedAction
from biometrics.liveness.reactions import CueRules, Reaction
from biometrics.pictures.quality import Reason

FACE_UNCHANGED = Reason(
    "face_unchanged",
    "画面中的人脸前后没有自然变化。请用手机前置摄像头现场拍摄，不要使用照片或视频软件。",
    "The face shows no natural change. Take the series live with the phone's front camera, not with pictures or video software.",
)
ACTED_BEFORE_CUE = Reason(
    "action_before_cue",
    "动作早于屏幕提示。请看到提示后再做动作。",
    "An action came before its cue. Wait for each cue on the screen.",
)
ACTED_LATE = Reason(
    "action_after_cue",
    "动作明显晚于屏幕提示。请看到提示后立即做动作。",
    "An action came long after its cue. Act as soon as the screen shows it.",
)
NO_SCREEN_LIGHT = Reason(
    "screen_light_missing",
    "没有看到屏幕颜色在脸上的反光。请调高屏幕亮度，避开强光后重试。",
    "The face does not reflect the screen's colours. Raise the brightness, avoid strong light and try again.",
)


@dataclass(frozen=True, slots=True)
class PresenceRules:
    """Limits of the signals; inclusive for what is plausible."""

    min_change: float
    """The least change of a living face (`face_change.measure_change`)."""
    min_flash: float | None
    """The least correlation with the screen's colours (`flash.FlashResponse`), where the phone showed them. None: it does
    not count."""
    cues: CueRules


def list_presence_doubts(
    signals: Mapping[str, float], reactions: Sequence[Reaction], rules: PresenceRules
) -> Iterator[Reason]:
    """The reasons for a second look. Signals that were not measured give none."""
    if signals.get("change", rules.min_change) < rules.min_change:
        yield FACE_UNCHANGED
    if rules.min_flash is not None and signals.get("flash", rules.min_flash) < rules.min_flash:
        yield NO_SCREEN_LIGHT
    if any(reaction.within_ms < rules.cues.min_reaction_ms for reaction in reactions):
        yield ACTED_BEFORE_CUE
    if any(reaction.after_ms > rules.cues.max_reaction_ms for reaction in reactions):
        yield ACTED_LATE


_TELLING = (Action.OPEN_MOUTH, Action.TURN_LEFT, Action.TURN_RIGHT, Action.CLOSE_EYES)
"""What a person sees most in, first: teeth and tongue, the side of a face, lids."""


def choose_frames_to_show(
    matched: Sequence[DetectedAction], at_rest: Sequence[int]
) -> tuple[int, int] | None:
    """The frame at rest next to the most telling action, and that action's best frame. None without both."""
    if not matched or not at_rest:
        return None
    telling = min(matched, key=lambda each: _TELLING.index(each.action))
    return min(at_rest, key=lambda index: abs(index - telling.peak)), telling.peak

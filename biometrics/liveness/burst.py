"""Liveness check: is a burst one live capture of one person who performs the requested actions?

The server draws two or three actions, and the phone sends frames in quick succession. Checked are the actions and their
order (`biometrics.liveness.challenge`), that there is one person in one box that moves without jumps, that frames differ,
and that times are plausible. This raises the cost of attacks with photographs and simple replays. It does NOT detect a
generated or animated face, a camera fed by software, or a mask, and claims no conformance to ISO/IEC 30107-3. Frame times
are reported by the phone: they are checked for plausibility and never count as proof. A failed check leads to another
attempt or a check in person: nothing here makes a student absent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from biometrics.engines.base import Box, Contours, Descriptor
from biometrics.liveness.actions import Action
from biometrics.liveness.challenge import (
    ActionRules,
    DetectedAction,
    MeasuredFrame,
    detect_actions,
    is_flat_turn,
    match_actions,
    measure_frame,
)
from biometrics.liveness.presence import PresenceRules, choose_frames_to_show, list_presence_doubts
from biometrics.liveness.reactions import Reaction, measure_reactions
from biometrics.liveness.risk import Risk, RiskRules, gap_regularity, rate_risk, stillness
from biometrics.matching.decision import largest_distance
from biometrics.pictures.fingerprints import Fingerprint
from biometrics.pictures.quality import BLURRED, NO_FACE, TILTED, TURNED, Reason

TOO_FEW_FRAMES = Reason(
    "too_few_frames",
    "照片张数不足。请按提示重新拍摄一组。",
    "Too few frames. Take the series again as shown.",
)
IDENTICAL_FRAMES = Reason(
    "identical_frames",
    "存在重复照片。请用相机现场连续拍摄。",
    "Some frames are identical. Take a live series with the camera.",
)
FRAME_TIMES_MISSING = Reason(
    "frame_times_missing",
    "照片缺少拍摄时间。请更新应用后重新拍摄。",
    "Frames carry no times. Update the app and take the series again.",
)
FRAME_TIMES_IMPLAUSIBLE = Reason(
    "frame_times_implausible",
    "照片拍摄间隔异常。请重新连续拍摄。",
    "The intervals between the frames are implausible. Take the series again.",
)
TOO_SLOW = Reason(
    "answer_too_slow",
    "动作用时过长。请看清提示后一次连续完成。",
    "The actions took too long. Read the instructions first, then do them in one go.",
)
DIFFERENT_PEOPLE = Reason(
    "different_people",
    "一组照片中出现不同的人。请本人独自拍摄。",
    "The frames show different people. Be alone, take the series yourself.",
)
NO_DOMINANT_FACE = Reason(
    "no_dominant_face",
    "部分照片没有清晰的单人脸。请独自正对镜头。",
    "Some frames lack one clear face. Face the camera alone.",
)
FACE_JUMPED = Reason(
    "face_jumped",
    "人脸位置突然变化。请拿稳手机，保持在画面中，一次连续完成。",
    "The face jumped between frames. Hold the phone still, stay in the picture and do it in one go.",
)
NOT_MEASURABLE = Reason(
    "actions_not_measurable",
    "系统目前无法识别动作。请联系辅导员人工核验。",
    "Actions cannot be recognised at present. Ask your counselor to check you in person.",
)
OUT_OF_ORDER = Reason(
    "actions_out_of_order",
    "动作顺序不符。请按提示的顺序逐个完成，每个动作后回到正脸。",
    "The actions came in another order. Do them one after the other as shown, facing the camera in between.",
)
UNASKED_ACTION = Reason(
    "unasked_action",
    "出现了提示以外的动作。请只做提示的动作，其余时间正对镜头。",
    "You did an action that was not requested. Do only what is shown, and face the camera otherwise.",
)
NO_DEPTH = Reason(
    "turn_without_depth",
    "没有看到头部真实转动。请保持手机不动，只转动头部。",
    "The turn shows no depth. Keep the phone still and turn only your head.",
)
NOT_DONE = {
    Action.CLOSE_EYES: Reason(
        "eyes_not_closed",
        "没有看到闭眼。请闭上双眼并保持约一秒；如不便，可换一组动作。",
        "Closed eyes were not detected. Keep both eyes closed for a second; if you can't, choose other actions.",
    ),
    Action.OPEN_MOUTH: Reason(
        "mouth_not_opened",
        "没有看到张嘴。请先闭嘴，再张大嘴巴；如不便，可换一组动作。",
        "An open mouth was not detected. Close it first, then open it wide; if you can't, choose other actions.",
    ),
    Action.TURN_LEFT: Reason(
        "head_not_turned_left",
        "没有看到向左转头。请先正对镜头，再慢慢向左转；如不便，可换一组动作。",
        "A turn to your left was not detected. Face the camera, then turn slowly; if you can't, choose other actions.",
    ),
    Action.TURN_RIGHT: Reason(
        "head_not_turned_right",
        "没有看到向右转头。请先正对镜头，再慢慢向右转；如不便，可换一组动作。",
        "A turn to your right was not detected. Face the camera, then turn slowly; if you can't, choose other actions.",
    ),
}

_MAX_REST_FRAMES = 2
"""Each further frame costs a descriptor and hardly changes the mean."""

MOVEMENT_REASONS = frozenset({NO_FACE, BLURRED, TILTED, TURNED})
"""Effects of movement on a frame. A few such frames may be ignored, but never a second face or a broken file."""


@dataclass(frozen=True, slots=True)
class BurstRules:
    """Limits for a plausible burst; all inclusive."""

    min_frames: int
    min_gap_ms: int
    max_gap_ms: int
    max_frame_distance: float
    """Maximum distance between two frames of the burst, in the engine's metric."""


@dataclass(frozen=True, slots=True)
class ChallengeRules:
    """Limits for a burst that answers a challenge; all inclusive."""

    actions: ActionRules
    max_span_ms: int
    """Between the first and the last frame."""
    max_lost_frames: int
    """How many frames movement may spoil."""
    max_nose_offset: float
    """How far a usable face may be turned during a challenge (`Quality.nose_offset`, in eye distances)."""
    max_jump: float
    """How far the centre of a box may move between two frames, in widths of the wider box."""
    max_growth: float
    """The maximum ratio of widths between two frames."""
    risk: RiskRules
    presence: PresenceRules


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The part of a frame that the liveness check uses. `box` is None without a single dominant usable face."""

    fingerprint: Fingerprint
    captured_ms: int | None
    box: Box | None
    contours: Contours | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ObservedActions:
    """The actions detected in a burst. Indices are those of the frames."""

    faces: tuple[MeasuredFrame, ...]
    detected: tuple[DetectedAction, ...]
    at_rest: tuple[int, ...]
    """Frames with a usable face and no action."""

    def rest_frames(self) -> tuple[int, ...]:
        """The frames to compare with the template: some frames at rest, spread over the burst.

        All usable frames if nothing was measured.
        """
        if not self.faces:
            return self.at_rest
        step = max(1.0, (len(self.at_rest) - 1) / (_MAX_REST_FRAMES - 1))
        chosen = {self.at_rest[round(step * at)] for at in range(min(len(self.at_rest), _MAX_REST_FRAMES))}
        return tuple(sorted(chosen))

    def action_frames(self) -> tuple[int, ...]:
        """The frame that proves an action and must show the same person as the frames at rest. A turn, if there is one.

        Software can animate a photograph of an absent student with every action but a turn that has depth, so a second
        person who acts in front of the camera does the turn. Each further frame costs a descriptor.
        """
        turns = [each for each in self.detected if each.depth is not None]
        return tuple(each.peak for each in (turns or self.detected)[:1])


@dataclass(frozen=True, slots=True)
class LivenessReport:
    """The reasons against a burst, with all measurements. Indices are those of the given frames."""

    reasons: tuple[Reason, ...]
    requested: tuple[Action, ...] = ()
    detected: tuple[DetectedAction, ...] = ()
    at_rest: tuple[int, ...] = ()
    """Frames with a usable face and no action."""
    risk: Risk = field(default_factory=Risk)
    doubts: tuple[Reason, ...] = ()
    """Why a person should take a second look (`biometrics.liveness.presence`); nothing against the burst itself."""
    reactions: tuple[Reaction, ...] = ()
    """To the cues, if the phone showed them."""
    frames_to_show: tuple[int, int] | None = None
    """The two frames that tell a person most: the face at rest, and an action."""

    def figures(self) -> dict[str, object]:
        """The measurements a reviewer needs to understand the result, as JSON values."""
        return {
            "asked": [action.value for action in self.requested],
            "seen": [
                {
                    "action": each.action.value,
                    "frames": [each.first, each.peak, each.last],
                    "figure": round(each.figure, 4),
                    "depth": None if each.depth is None else round(each.depth, 4),
                }
                for each in self.detected
            ],
            "at_rest": list(self.at_rest),
            "risk": self.risk.figures(),
            "doubts": [reason.code for reason in self.doubts],
            "reactions": [reaction.figures() for reaction in self.reactions],
            "frames_to_show": None if self.frames_to_show is None else list(self.frames_to_show),
        }


def check_burst(
    frames: Sequence[Frame], descriptors: Sequence[Descriptor], rules: BurstRules, max_lost: int = 0
) -> tuple[Reason, ...]:
    """The reasons why the burst is not one capture of one person; empty if it is plausible."""
    hashes = {frame.fingerprint.sha256 for frame in frames}
    faceless = sum(frame.box is None for frame in frames)
    checks = (
        (len(frames) < rules.min_frames, TOO_FEW_FRAMES),
        (len(hashes) < len(frames), IDENTICAL_FRAMES),
        (faceless > max_lost, NO_DOMINANT_FACE),
        (largest_distance(descriptors) > rules.max_frame_distance, DIFFERENT_PEOPLE),
    )
    return (*(reason for failed, reason in checks if failed), *_check_times(frames, rules))


def observe_actions(frames: Sequence[Frame], rules: ActionRules) -> ObservedActions:
    """Detect every action in the burst, requested or not."""
    faces = [
        measure_frame(index, frame.contours)
        for index, frame in enumerate(frames)
        if frame.contours is not None
    ]
    detected = detect_actions(faces, rules)
    busy = {index for each in detected for index in range(each.first, each.last + 1)}
    usable = [index for index, frame in enumerate(frames) if frame.box is not None]
    return ObservedActions(
        tuple(faces), tuple(detected), tuple(index for index in usable if index not in busy)
    )


@dataclass(frozen=True, slots=True, eq=False)
class ObservedBurst:
    """A burst with its detected actions, the descriptors of its compared frames, and the risk signals of its pictures."""

    frames: Sequence[Frame]
    observed: ObservedActions
    descriptors: Sequence[Descriptor]
    signals: Mapping[str, float] = field(default_factory=dict)
    cues_ms: Sequence[int] = ()
    """When the phone showed each action, in milliseconds since the burst began; empty if it showed them all at once."""
    generated: bool = False
    """Pictures of the test engine: their pixels say nothing about a face."""


def check_challenge(
    burst: ObservedBurst, requested: Sequence[Action], burst_rules: BurstRules, rules: ChallengeRules
) -> LivenessReport:
    """Check that the burst shows the requested actions in their order."""
    observed, boxes = burst.observed, [frame.box for frame in burst.frames if frame.box is not None]
    if observed.faces or not boxes:
        action_reasons = _check_actions(observed.detected, requested, rules.actions)
    else:
        action_reasons = (NOT_MEASURABLE,)
    reasons = (
        *check_burst(burst.frames, burst.descriptors, burst_rules, rules.max_lost_frames),
        *_check_span(burst.frames, rules),
        *_check_boxes(boxes, rules),
        *action_reasons,
    )
    matched = match_actions(observed.detected, requested, rules.actions) or ()
    reactions = measure_reactions(matched, [frame.captured_ms for frame in burst.frames], burst.cues_ms)
    return LivenessReport(
        reasons,
        tuple(requested),
        observed.detected,
        observed.at_rest,
        risk=rate_risk({**burst.signals, **_burst_signals(burst)}, rules.risk),
        doubts=tuple(list_presence_doubts(_pixel_signals(burst), reactions, rules.presence)),
        reactions=reactions,
        frames_to_show=choose_frames_to_show(matched, observed.at_rest),
    )


def _pixel_signals(burst: ObservedBurst) -> Mapping[str, float]:
    return {} if burst.generated else burst.signals


def _burst_signals(burst: ObservedBurst) -> dict[str, float]:
    """The risk signals of movement and timing, without those that cannot be measured."""
    times = [frame.captured_ms for frame in burst.frames if frame.captured_ms is not None]
    signals = {
        "stillness": stillness([face.contours for face in burst.observed.faces]),
        "rhythm": gap_regularity(times),
    }
    return {name: figure for name, figure in signals.items() if figure is not None}


def _check_actions(
    detected: Sequence[DetectedAction], requested: Sequence[Action], rules: ActionRules
) -> tuple[Reason, ...]:
    if match_actions(detected, requested, rules) is not None:
        return ()
    done = {each.action for each in detected if not is_flat_turn(each, rules)}
    missing = [action for action in dict.fromkeys(requested) if action not in done]
    if missing:
        flat = {each.action for each in detected}
        return tuple(dict.fromkeys(NO_DEPTH if action in flat else NOT_DONE[action] for action in missing))
    if all(each.action in requested or each.frames < rules.unasked_frames for each in detected):
        return (OUT_OF_ORDER,)
    return (UNASKED_ACTION,)


def _check_span(frames: Sequence[Frame], rules: ChallengeRules) -> tuple[Reason, ...]:
    times = [frame.captured_ms for frame in frames if frame.captured_ms is not None]
    return (TOO_SLOW,) if times and max(times) - min(times) > rules.max_span_ms else ()


def _check_boxes(boxes: Sequence[Box], rules: ChallengeRules) -> tuple[Reason, ...]:
    for before, after in pairwise(boxes):
        wider, narrower = max(before.width, after.width), min(before.width, after.width)
        x = (after.left + after.right - before.left - before.right) / 2
        y = (after.top + after.bottom - before.top - before.bottom) / 2
        if wider > rules.max_growth * narrower or x**2 + y**2 > (rules.max_jump * wider) ** 2:
            return (FACE_JUMPED,)
    return ()


def _check_times(frames: Sequence[Frame], rules: BurstRules) -> tuple[Reason, ...]:
    times = [frame.captured_ms for frame in frames if frame.captured_ms is not None]
    if len(times) < len(frames):
        return (FRAME_TIMES_MISSING,)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    if all(rules.min_gap_ms <= gap <= rules.max_gap_ms for gap in gaps):
        return ()
    return (FRAME_TIMES_IMPLAUSIBLE,)

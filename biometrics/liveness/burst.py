"""Is this burst one live capture of one person who does what was asked? What it can say, and what it cannot.

The server draws two or three actions; the phone answers with frames in quick succession. Checked are the actions and
their order (`biometrics.liveness.challenge`), one person and one box that moves without jumps, frames that differ, and times that
are plausible. It raises the cost of photographs and of simple replays. It does NOT notice a generated or animated face,
a camera that is fed by software, or a mask, and claims no conformance to ISO/IEC 30107-3. Frame times are told by the
phone: they are checked for being plausible, never believed as proof. Whoever fails is asked again or seen by a person:
nothing here makes anybody absent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from biometrics.engines.base import Box, Contours, Descriptor
from biometrics.liveness.actions import Action
from biometrics.liveness.challenge import (
    ActionRules,
    Measured,
    SeenAction,
    actions_seen,
    answer,
    is_flat,
    measured,
)
from biometrics.liveness.risk import Risk, RiskRules, evenness, risk_of, stillness
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
    "The rhythm of the frames is implausible. Take the series again.",
)
TOO_SLOW = Reason(
    "answer_too_slow",
    "动作用时过长。请看清提示后一次连续完成。",
    "The answer took too long. Read what is asked first, then do it in one go.",
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
    "Actions cannot be read here at present. Ask your counselor to check you in person.",
)
OUT_OF_ORDER = Reason(
    "actions_out_of_order",
    "动作顺序不符。请按提示的顺序逐个完成，每个动作后回到正脸。",
    "The actions came in another order. Do them one after the other as shown, facing the camera in between.",
)
UNASKED_ACTION = Reason(
    "unasked_action",
    "出现了提示以外的动作。请只做提示的动作，其余时间正对镜头。",
    "Something was done that was not asked. Do only what is shown and face the camera otherwise.",
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
        "Closed eyes were not seen. Keep both eyes closed for a second; if you can't, choose other actions.",
    ),
    Action.OPEN_MOUTH: Reason(
        "mouth_not_opened",
        "没有看到张嘴。请先闭嘴，再张大嘴巴；如不便，可换一组动作。",
        "An open mouth was not seen. Close it first, then open it wide; if you can't, choose other actions.",
    ),
    Action.TURN_LEFT: Reason(
        "head_not_turned_left",
        "没有看到向左转头。请先正对镜头，再慢慢向左转；如不便，可换一组动作。",
        "A turn to your left was not seen. Face the camera, then turn slowly; if you can't, choose other actions.",
    ),
    Action.TURN_RIGHT: Reason(
        "head_not_turned_right",
        "没有看到向右转头。请先正对镜头，再慢慢向右转；如不便，可换一组动作。",
        "A turn to your right was not seen. Face the camera, then turn slowly; if you can't, choose other actions.",
    ),
}

_COMPARED_AT_REST = 2
"""More frames of a face at rest cost a descriptor each and hardly move their mean."""

EXCUSED = frozenset({NO_FACE, BLURRED, TILTED, TURNED})
"""What movement does to a frame. A few such frames may be lost; a second face or a broken file is never excused."""


@dataclass(frozen=True, slots=True)
class BurstRules:
    """What makes a burst plausible; all bounds inclusive."""

    min_frames: int
    min_gap_ms: int
    max_gap_ms: int
    max_frame_distance: float
    """Between two frames of the burst, in the engine's metric."""


@dataclass(frozen=True, slots=True)
class ChallengeRules:
    """What makes a burst the answer to a challenge; all bounds inclusive."""

    actions: ActionRules
    max_span_ms: int
    """From the first frame to the last."""
    max_lost_frames: int
    """Frames that movement may spoil."""
    max_nose_offset: float
    """How far a usable face may be turned while turning is asked (`Quality.nose_offset`, in eye distances)."""
    max_jump: float
    """How far a box's middle may move between two frames, in widths of the wider box."""
    max_growth: float
    """By how much a box may grow or shrink between two frames, wider by narrower."""
    risk: RiskRules


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame as far as liveness is concerned; `box` is None without one dominant usable face."""

    fingerprint: Fingerprint
    captured_ms: int | None
    box: Box | None
    contours: Contours | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """What the faces of a burst do. Indices are those of the frames."""

    faces: tuple[Measured, ...]
    seen: tuple[SeenAction, ...]
    at_rest: tuple[int, ...]
    """Frames in which a usable face does nothing."""

    def resting(self) -> tuple[int, ...]:
        """The frames that are compared with the template: some at rest, spread over the burst.

        All usable ones where nothing was measured.
        """
        if not self.faces:
            return self.at_rest
        step = max(1.0, (len(self.at_rest) - 1) / (_COMPARED_AT_REST - 1))
        chosen = {self.at_rest[round(step * at)] for at in range(min(len(self.at_rest), _COMPARED_AT_REST))}
        return tuple(sorted(chosen))

    def telling(self) -> tuple[int, ...]:
        """The frames that prove an action: whoever acts must be the person at rest."""
        return tuple(sorted({each.peak for each in self.seen}))


@dataclass(frozen=True, slots=True)
class LivenessReport:
    """What speaks against the burst, and everything that was measured. Indices are those of the given frames."""

    reasons: tuple[Reason, ...]
    asked: tuple[Action, ...] = ()
    seen: tuple[SeenAction, ...] = ()
    at_rest: tuple[int, ...] = ()
    """Frames in which a usable face does nothing."""
    risk: Risk = field(default_factory=Risk)

    def figures(self) -> dict[str, object]:
        """What a person needs to follow the finding, in JSON's own types."""
        return {
            "asked": [action.value for action in self.asked],
            "seen": [
                {
                    "action": each.action.value,
                    "frames": [each.first, each.peak, each.last],
                    "figure": round(each.figure, 4),
                    "depth": None if each.depth is None else round(each.depth, 4),
                }
                for each in self.seen
            ],
            "at_rest": list(self.at_rest),
            "risk": self.risk.figures(),
        }


def check_burst(
    frames: Sequence[Frame], descriptors: Sequence[Descriptor], rules: BurstRules, max_lost: int = 0
) -> tuple[Reason, ...]:
    """The reasons against the burst as one capture of one person, none when it is plausible."""
    hashes = {frame.fingerprint.sha256 for frame in frames}
    faceless = sum(frame.box is None for frame in frames)
    checks = (
        (len(frames) < rules.min_frames, TOO_FEW_FRAMES),
        (len(hashes) < len(frames), IDENTICAL_FRAMES),
        (faceless > max_lost, NO_DOMINANT_FACE),
        (largest_distance(descriptors) > rules.max_frame_distance, DIFFERENT_PEOPLE),
    )
    return (*(reason for failed, reason in checks if failed), *_check_times(frames, rules))


def watch_actions(frames: Sequence[Frame], rules: ActionRules) -> Watched:
    """Every action in the burst, asked or not."""
    faces = [
        measured(index, frame.contours) for index, frame in enumerate(frames) if frame.contours is not None
    ]
    seen = actions_seen(faces, rules)
    busy = {index for each in seen for index in range(each.first, each.last + 1)}
    usable = [index for index, frame in enumerate(frames) if frame.box is not None]
    return Watched(tuple(faces), tuple(seen), tuple(index for index in usable if index not in busy))


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A burst that was watched, with the descriptors of its telling frames and the signals of its pictures."""

    frames: Sequence[Frame]
    watched: Watched
    descriptors: Sequence[Descriptor]
    signals: Mapping[str, float] = field(default_factory=dict)


def check_challenge(
    given: Answer, asked: Sequence[Action], burst: BurstRules, rules: ChallengeRules
) -> LivenessReport:
    """The burst as the answer to the asked actions in their order."""
    watched, boxes = given.watched, [frame.box for frame in given.frames if frame.box is not None]
    reasons = (
        *check_burst(given.frames, given.descriptors, burst, rules.max_lost_frames),
        *_check_span(given.frames, rules),
        *_check_boxes(boxes, rules),
        *(
            _check_actions(watched.seen, asked, rules.actions)
            if watched.faces or not boxes
            else (NOT_MEASURABLE,)
        ),
    )
    times = [frame.captured_ms for frame in given.frames if frame.captured_ms is not None]
    of_burst = {"stillness": stillness([face.contours for face in watched.faces]), "rhythm": evenness(times)}
    signals = {**given.signals, **{name: figure for name, figure in of_burst.items() if figure is not None}}
    return LivenessReport(reasons, tuple(asked), watched.seen, watched.at_rest, risk_of(signals, rules.risk))


def _check_actions(
    seen: Sequence[SeenAction], asked: Sequence[Action], rules: ActionRules
) -> tuple[Reason, ...]:
    if answer(seen, asked, rules) is not None:
        return ()
    done = {each.action for each in seen if not is_flat(each, rules)}
    missing = [action for action in dict.fromkeys(asked) if action not in done]
    if missing:
        flat = {each.action for each in seen}
        return tuple(dict.fromkeys(NO_DEPTH if action in flat else NOT_DONE[action] for action in missing))
    if all(each.action in asked or each.frames < rules.unasked_frames for each in seen):
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

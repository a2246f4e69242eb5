"""What a burst of frames can say about being one live capture — and what it cannot.

This first version checks that several different frames came in a plausible rhythm and show one dominant
person throughout. It raises the cost of sending one picture several times, or frames of several people.
It does NOT claim to notice a printed photograph, a screen, a replayed video, a mask, an injected stream or a
generated face; random action challenges are not part of it, and there is no ISO/IEC 30107-3 claim.
Frame times are told by the phone: they are checked for being plausible, never believed as proof.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from biometrics.engine import Descriptor
from biometrics.fingerprints import Fingerprint
from biometrics.matching import largest_distance
from biometrics.quality import Reason

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


@dataclass(frozen=True, slots=True)
class BurstRules:
    """What makes a burst plausible; all bounds inclusive."""

    min_frames: int
    min_gap_ms: int
    max_gap_ms: int
    max_frame_distance: float
    """Between two frames of the burst, in the engine's metric."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame as far as liveness is concerned; `descriptor` is None without one dominant usable face."""

    fingerprint: Fingerprint
    captured_ms: int | None
    descriptor: Descriptor | None


def check_burst(frames: Sequence[Frame], rules: BurstRules) -> tuple[Reason, ...]:
    """The reasons against the burst, none when it is plausible."""
    descriptors = [frame.descriptor for frame in frames if frame.descriptor is not None]
    hashes = {frame.fingerprint.sha256 for frame in frames}
    checks = (
        (len(frames) < rules.min_frames, TOO_FEW_FRAMES),
        (len(hashes) < len(frames), IDENTICAL_FRAMES),
        (len(descriptors) < len(frames), NO_DOMINANT_FACE),
        (largest_distance(descriptors) > rules.max_frame_distance, DIFFERENT_PEOPLE),
    )
    return (*(reason for failed, reason in checks if failed), *_check_times(frames, rules))


def _check_times(frames: Sequence[Frame], rules: BurstRules) -> tuple[Reason, ...]:
    times = [frame.captured_ms for frame in frames if frame.captured_ms is not None]
    if len(times) < len(frames):
        return (FRAME_TIMES_MISSING,)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    if all(rules.min_gap_ms <= gap <= rules.max_gap_ms for gap in gaps):
        return ()
    return (FRAME_TIMES_IMPLAUSIBLE,)

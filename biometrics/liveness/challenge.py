"""Detects the actions in a burst, and matches them with the requested ones.

Every measure is relative to the same burst: closed eyes to the person's own open eyes, an open mouth to an earlier closed
one, a turned head to the frame that looks straightest. A burst must show no other actions than the requested ones.
Otherwise one recording of all actions would pass every challenge.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from biometrics.engines.base import Contours
from biometrics.liveness.actions import Action
from biometrics.liveness.expression import Expression, measure_expression, planar_residual


@dataclass(frozen=True, slots=True)
class ActionRules:
    """When an action counts as done. Ratios are dimensionless; offsets are in eye distances."""

    closed_eyes: float
    """Eyes are closed up to this share of the 75th percentile of the burst's eye aspect ratios."""
    closed_eyes_frames: int
    """How many consecutive frames eyes must be closed. A single one is a blink."""
    closed_mouth: float
    """A mouth is closed up to this ratio of height to width of the inner lips …"""
    open_mouth: float
    """… and open from this ratio, if it was closed before."""
    min_turn: float
    """Offset of the nose, in eye distances, from which a head is turned; also relative to the straightest frame."""
    min_depth: float
    """Minimum planar residual of a turned head against the straightest frame, in eye distances. A flat picture has less."""
    unasked_frames: int
    """An action that was not requested fails the burst if it lasts this many frames."""


@dataclass(frozen=True, slots=True)
class DetectedAction:
    """One action detected in a burst. Indices are those of the burst's frames."""

    action: Action
    first: int
    last: int
    peak: int
    """The frame that shows it best."""
    frames: int
    figure: float
    """At the peak. Eyes: ratio to the person's open eyes; mouth: its ratio; turn: the nose's offset."""
    depth: float | None = None
    """The planar residual of a turn; None for other actions."""


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredFrame:
    """One frame with a face: its index in the burst, the measured expression, and the contours it was measured on."""

    index: int
    expression: Expression
    contours: Contours


def measure_frame(index: int, contours: Contours) -> MeasuredFrame:
    """Measure one frame."""
    return MeasuredFrame(index, measure_expression(contours), contours)


def detect_actions(frames: Sequence[MeasuredFrame], rules: ActionRules) -> list[DetectedAction]:
    """Detect all actions, including flat turns, ordered by their first frame."""
    if not frames:
        return []
    actions = [
        *_detect_closed_eyes(frames, rules),
        *_detect_open_mouths(frames, rules),
        *_detect_turns(frames, rules),
    ]
    return sorted(actions, key=lambda action: (action.first, action.last))


def is_flat_turn(action: DetectedAction, rules: ActionRules) -> bool:
    """Whether this is a turn without depth: someone turned a picture, not their head."""
    return action.depth is not None and action.depth < rules.min_depth


def match_actions(
    detected: Sequence[DetectedAction], requested: Sequence[Action], rules: ActionRules
) -> tuple[DetectedAction, ...] | None:
    """The detected actions that match the requested ones in order, or None.

    An action that is detected twice in a row counts once, because a mouth may flicker. Flat turns are ignored. A short
    action that was not requested is skipped; one that lasts `unasked_frames` fails the match.
    """
    paths: dict[int, tuple[DetectedAction, ...]] = {0: ()}
    for each in detected:
        if is_flat_turn(each, rules):
            continue
        after: dict[int, tuple[DetectedAction, ...]] = {}
        for done, path in paths.items():
            if each.frames < rules.unasked_frames or (done and requested[done - 1] is each.action):
                after.setdefault(done, path)
            if done < len(requested) and requested[done] is each.action:
                after.setdefault(done + 1, (*path, each))
        paths = after
    return paths.get(len(requested))


def _detect_closed_eyes(frames: Sequence[MeasuredFrame], rules: ActionRules) -> Iterator[DetectedAction]:
    open_eyes = float(np.percentile([frame.expression.eyes for frame in frames], 75))
    if open_eyes <= 0:
        return
    closed = [frame.expression.eyes <= rules.closed_eyes * open_eyes for frame in frames]
    for run in _runs(closed):
        if len(run) >= rules.closed_eyes_frames:
            peak = min(run, key=lambda at: frames[at].expression.eyes)
            yield _detected_action(
                Action.CLOSE_EYES, frames, run, peak, frames[peak].expression.eyes / open_eyes
            )


def _detect_open_mouths(frames: Sequence[MeasuredFrame], rules: ActionRules) -> Iterator[DetectedAction]:
    """Detect open mouths with two limits (hysteresis), so that a mouth near a limit does not flicker."""
    was_closed, is_open, opened = False, False, []
    for frame in frames:
        ratio = frame.expression.mouth
        if ratio <= rules.closed_mouth:
            was_closed, is_open = True, False
        elif ratio >= rules.open_mouth and was_closed:
            is_open = True
        opened.append(is_open)
    for run in _runs(opened):
        peak = max(run, key=lambda at: frames[at].expression.mouth)
        yield _detected_action(Action.OPEN_MOUTH, frames, run, peak, frames[peak].expression.mouth)


def _detect_turns(frames: Sequence[MeasuredFrame], rules: ActionRules) -> Iterator[DetectedAction]:
    straight = min(frames, key=lambda frame: abs(frame.expression.turn))
    for action, side in ((Action.TURN_LEFT, 1), (Action.TURN_RIGHT, -1)):
        offsets = [side * frame.expression.turn for frame in frames]
        turned = [
            min(offset, offset - side * straight.expression.turn) >= rules.min_turn for offset in offsets
        ]
        for run in _runs(turned):
            peak = max(run, key=lambda at: offsets[at])
            depth = planar_residual(straight.contours, frames[peak].contours)
            yield _detected_action(action, frames, run, peak, frames[peak].expression.turn, depth)


def _detected_action(
    action: Action,
    frames: Sequence[MeasuredFrame],
    run: Sequence[int],
    peak: int,
    figure: float,
    depth: float | None = None,
) -> DetectedAction:
    first, last = frames[run[0]].index, frames[run[-1]].index
    return DetectedAction(action, first, last, frames[peak].index, len(run), figure, depth)


def _runs(flags: Sequence[bool]) -> Iterator[range]:
    """The runs of True, as ranges of positions in `flags`."""
    start: int | None = None
    for at, flag in enumerate((*flags, False)):
        if flag and start is None:
            start = at
        elif not flag and start is not None:
            yield range(start, at)
            start = None

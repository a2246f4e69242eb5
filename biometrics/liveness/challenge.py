"""Which actions a burst shows, in which order, and whether they are the ones that were asked.

Every measure is relative to the same burst: closed eyes against the person's own open ones, an open mouth after a closed
one, a turned head against the frame that looks straightest. Beside the asked actions nothing else may be seen, or one
recording of everything would answer every challenge.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from biometrics.engines.base import Contours
from biometrics.liveness.actions import Action
from biometrics.liveness.expression import Expression, measure_expression, planar_residual


@dataclass(frozen=True, slots=True)
class ActionRules:
    """When an action counts as done. Ratios are pure numbers; offsets are in distances between the eyes."""

    closed_eyes: float
    """Eyes are closed up to this share of the 75th percentile of the burst's own eye aspect ratios."""
    closed_eyes_frames: int
    """Frames in a row that closed eyes are held; one alone is a blink."""
    closed_mouth: float
    """An inner mouth is closed up to this ratio of height to width …"""
    open_mouth: float
    """… and open from this one, having been closed before."""
    min_turn: float
    """Offset of the nose, in eye distances, from which a head is turned, also against the straightest frame."""
    min_depth: float
    """Planar residual, in eye distances, that a turned head leaves against the straightest frame; a picture leaves less."""
    unasked_frames: int
    """An action that nobody asked for speaks against the burst when it lasts as many frames."""


@dataclass(frozen=True, slots=True)
class SeenAction:
    """One action in the burst. Indices are those of the burst's frames."""

    action: Action
    first: int
    last: int
    peak: int
    """The frame that shows it most."""
    frames: int
    figure: float
    """Eyes: share of the own open ones; mouth: its ratio; turn: the nose's offset. At the peak."""
    depth: float | None = None
    """A turn's planar residual; None for the others."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One frame with a face: its index in the burst, what its face does, and the outlines that say so."""

    index: int
    expression: Expression
    contours: Contours


def measured(index: int, contours: Contours) -> Measured:
    """A frame's measures."""
    return Measured(index, measure_expression(contours), contours)


def actions_seen(frames: Sequence[Measured], rules: ActionRules) -> list[SeenAction]:
    """All actions in the burst by the frame that they begin in, flat turns among them."""
    if not frames:
        return []
    found = [*_closed_eyes(frames, rules), *_open_mouths(frames, rules), *_turns(frames, rules)]
    return sorted(found, key=lambda seen: (seen.first, seen.last))


def is_flat(seen: SeenAction, rules: ActionRules) -> bool:
    """A turn without depth: a picture was turned, not a head."""
    return seen.depth is not None and seen.depth < rules.min_depth


def answer(
    seen: Sequence[SeenAction], asked: Sequence[Action], rules: ActionRules
) -> tuple[SeenAction, ...] | None:
    """The seen actions that are the asked ones in their order, or None.

    Seen twice in a row, an action counts once: a mouth flickers. Flat turns count as nothing. What is short may be
    passed over; what lasts `unasked_frames` and was not asked may not.
    """
    paths: dict[int, tuple[SeenAction, ...]] = {0: ()}
    for each in seen:
        if is_flat(each, rules):
            continue
        after: dict[int, tuple[SeenAction, ...]] = {}
        for done, path in paths.items():
            if each.frames < rules.unasked_frames or (done and asked[done - 1] is each.action):
                after.setdefault(done, path)
            if done < len(asked) and asked[done] is each.action:
                after.setdefault(done + 1, (*path, each))
        paths = after
    return paths.get(len(asked))


def _closed_eyes(frames: Sequence[Measured], rules: ActionRules) -> Iterator[SeenAction]:
    own = float(np.percentile([frame.expression.eyes for frame in frames], 75))
    if own <= 0:
        return
    closed = [frame.expression.eyes <= rules.closed_eyes * own for frame in frames]
    for run in _runs(closed):
        if len(run) >= rules.closed_eyes_frames:
            peak = min(run, key=lambda at: frames[at].expression.eyes)
            yield _seen(Action.CLOSE_EYES, frames, run, peak, frames[peak].expression.eyes / own)


def _open_mouths(frames: Sequence[Measured], rules: ActionRules) -> Iterator[SeenAction]:
    """With two bounds, so that a mouth near one of them does not open and close from frame to frame."""
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
        yield _seen(Action.OPEN_MOUTH, frames, run, peak, frames[peak].expression.mouth)


def _turns(frames: Sequence[Measured], rules: ActionRules) -> Iterator[SeenAction]:
    straight = min(frames, key=lambda frame: abs(frame.expression.turn))
    for action, side in ((Action.TURN_LEFT, 1), (Action.TURN_RIGHT, -1)):
        offsets = [side * frame.expression.turn for frame in frames]
        turned = [
            min(offset, offset - side * straight.expression.turn) >= rules.min_turn for offset in offsets
        ]
        for run in _runs(turned):
            peak = max(run, key=lambda at: offsets[at])
            depth = planar_residual(straight.contours, frames[peak].contours)
            yield _seen(action, frames, run, peak, frames[peak].expression.turn, depth)


def _seen(
    action: Action,
    frames: Sequence[Measured],
    run: Sequence[int],
    peak: int,
    figure: float,
    depth: float | None = None,
) -> SeenAction:
    first, last = frames[run[0]].index, frames[run[-1]].index
    return SeenAction(action, first, last, frames[peak].index, len(run), figure, depth)


def _runs(flags: Sequence[bool]) -> Iterator[range]:
    """The stretches of True, as positions in `flags`."""
    start: int | None = None
    for at, flag in enumerate((*flags, False)):
        if flag and start is None:
            start = at
        elif not flag and start is not None:
            yield range(start, at)
            start = None

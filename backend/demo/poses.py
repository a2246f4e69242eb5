"""The frames of a burst that answers a challenge: at rest, the actions in order, and at rest again."""

from collections.abc import Iterable

from biometrics.liveness.actions import Action

FRAMES = 8
FRAME_INTERVAL_MS = 400
"""Milliseconds between two frames. Each action has two frames and so lasts most of a second."""


def plan_burst(actions: Iterable[str]) -> list[Action | None]:
    """The action in each frame of a burst; None for a face at rest."""
    requested = [Action(action) for action in actions]
    doing: list[Action | None] = [None]
    for action in requested:
        doing += [action, action]
        if 3 * len(requested) < FRAMES:
            doing.append(None)
    return doing + [None] * (FRAMES - len(doing))

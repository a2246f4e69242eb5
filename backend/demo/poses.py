"""What a person does before the camera when a challenge asks: a face at rest, the actions in their order, rest again."""

from collections.abc import Iterable

from biometrics.liveness.actions import Action

FRAMES = 8
EACH_MS = 400
"""Between two frames. Two frames of an action are then held for most of a second."""


def posed(actions: Iterable[str]) -> list[Action | None]:
    """One entry for each frame of a burst: what is done in it, None for a face at rest."""
    asked = [Action(action) for action in actions]
    doing: list[Action | None] = [None]
    for action in asked:
        doing += [action, action]
        if 3 * len(asked) < FRAMES:
            doing.append(None)
    return doing + [None] * (FRAMES - len(doing))

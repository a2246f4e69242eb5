"""What a challenge may ask of a face, and how a server draws it.

Left and right are the person's own. Frames are judged as the camera sees them, never mirrored: there a head that turns to
its own left moves its nose towards the picture's right. A selfie preview is mirrored, so that the head seems to move
towards the left of the screen when its owner turns left; a phone must undo that mirroring in what it sends, or every
turn is read the wrong way round.
"""

import random
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from biometrics.errors import BiometricsError


class Action(StrEnum):
    """One thing to do in front of the camera."""

    CLOSE_EYES = "close_eyes"
    OPEN_MOUTH = "open_mouth"
    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"


class ActionsTooFew(BiometricsError):
    """Too few actions are left to draw from: this person answers on the path without a face."""

    code = "actions_too_few"
    status = 422
    zh = "可做的动作至少需要 {needed} 种，目前只有 {able} 种。请多选动作，或联系辅导员改用人工核验。"
    en = "At least {needed} actions are needed, only {able} are chosen. Choose more, or ask your counselor to check you in person."


@dataclass(frozen=True, slots=True)
class Instruction:
    """What the phone says, in both languages."""

    zh: str
    en: str


INSTRUCTIONS = {
    Action.CLOSE_EYES: Instruction(
        "请闭上双眼，保持约一秒", "Close both eyes and keep them closed for a second"
    ),
    Action.OPEN_MOUTH: Instruction("请张大嘴巴", "Open your mouth wide"),
    Action.TURN_LEFT: Instruction("请慢慢向左转头", "Slowly turn your head to your left"),
    Action.TURN_RIGHT: Instruction("请慢慢向右转头", "Slowly turn your head to your right"),
}


def draw_actions(random: random.Random, able: Collection[Action], count: int) -> tuple[Action, ...]:
    """`count` ordered actions of those the person is able to do, none twice in a row; all such orders equally likely.

    A server draws with `random.SystemRandom`, so that nobody can foresee what will be asked. Raises ActionsTooFew when
    `able` leaves no such order, ValueError for a count below one.
    """
    if count < 1:
        raise ValueError(f"a challenge has at least one action, not {count}")
    choices = [action for action in Action if action in able]
    needed = min(count, 2)
    if len(choices) < needed:
        raise ActionsTooFew(needed=needed, able=len(choices))
    drawn: list[Action] = []
    for _ in range(count):
        drawn.append(random.choice([action for action in choices if drawn[-1:] != [action]]))
    return tuple(drawn)

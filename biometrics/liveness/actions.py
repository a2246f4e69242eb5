"""The actions of a challenge, and how the server draws them.

Left and right are those of the person. Frames are judged as the camera sees them, never mirrored: a head that turns to
its own left moves its nose towards the image's right. A selfie preview is mirrored, so the head seems to move towards the
left of the screen. A phone must undo that mirroring in the frames it sends, or every turn is judged the wrong way round.
"""

import random
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from biometrics.errors import BiometricsError


class Action(StrEnum):
    """One action in front of the camera."""

    CLOSE_EYES = "close_eyes"
    OPEN_MOUTH = "open_mouth"
    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"


class ActionsTooFew(BiometricsError):
    """Too few actions are left to draw from. The student is checked in person instead of by face."""

    code = "actions_too_few"
    status = 422
    zh = "可做的动作至少需要 {needed} 种，目前只有 {able} 种。请多选动作，或联系辅导员改用人工核验。"
    en = "At least {needed} actions are needed, only {able} are chosen. Choose more, or ask your counselor to check you in person."


@dataclass(frozen=True, slots=True)
class Instruction:
    """The instruction that the phone shows, in both languages."""

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
    """Draw `count` actions from those the person can do, none twice in a row. All such sequences are equally likely.

    The server passes `random.SystemRandom`, so that the challenge is unpredictable. Raises ActionsTooFew if `able` is too
    small, ValueError if `count` is below one.
    """
    if count < 1:
        raise ValueError(f"a challenge needs at least one action, not {count}")
    choices = [action for action in Action if action in able]
    needed = min(count, 2)
    if len(choices) < needed:
        raise ActionsTooFew(needed=needed, able=len(choices))
    drawn: list[Action] = []
    for _ in range(count):
        drawn.append(random.choice([action for action in choices if drawn[-1:] != [action]]))
    return tuple(drawn)

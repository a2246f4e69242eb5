"""The species of attacks that the liveness benchmark plays, each made from photographs of one person (THREATS 14)."""

import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from backend.demo.face_animation import FaceAnimator, Pose, add_hand_motion, render_burst
from backend.demo.poses import plan_burst
from bench.liveness import picture_attacks as attacks
from bench.liveness.animated_attacks import DrawnFaceAnimator, WarpWithoutLandmarks, noisy_jpeg
from bench.liveness.sources import Photographs
from biometrics.liveness.actions import Action, draw_actions

SMALL_PHONE = (360, 640)
TURNS = (Action.TURN_LEFT, Action.TURN_RIGHT)
"""The challenge without eye or mouth actions: the easiest one for a sheet of paper."""
STRONG_NOISE = 16.0
"""Grey levels; a phone in a dim room has about 8."""

ANIMATED = "animated photograph"
PICTURES: dict[str, attacks.Attack] = {
    "one still sent again with noise": attacks.reuploaded_still,
    "print moved, rolled, brought near": attacks.moved_print,
    "print tilted": attacks.tilted_print,
    "print bent and turned": attacks.bent_print,
    "screen with its grid, tilted": attacks.screen_replay,
}


@dataclass(frozen=True, slots=True)
class Attack:
    """One burst of one species against a challenge."""

    species: str
    requested: tuple[Action, ...]
    frames: Sequence[bytes]


class AttackedPerson:
    """Everything that is made of one person's photographs. Raises NoFaceToAnimate if the first one shows no face."""

    def __init__(self, photographs: Photographs, other: Photographs) -> None:
        self._animator = FaceAnimator(photographs[0], SMALL_PHONE)
        self._drawn = DrawnFaceAnimator(photographs[0], SMALL_PHONE)
        self._warped = WarpWithoutLandmarks(photographs[0], SMALL_PHONE)
        self._second = FaceAnimator(photographs[1], SMALL_PHONE)
        self._other = FaceAnimator(other[0], SMALL_PHONE)
        self._still = Image.open(io.BytesIO(self._animator.frame(Pose(), 0)))

    def of_pictures(self, trial: int, rng: random.Random) -> Iterator[Attack]:
        """Stills, prints, screens, replays and wrong answers."""
        requested = draw_challenge(rng)
        for species, attack in PICTURES.items():
            yield Attack(species, requested, attack(self._still, plan_burst(requested), rng))
        for species in ("print tilted", "print bent and turned"):
            frames = PICTURES[species](self._still, plan_burst(TURNS), rng)
            yield Attack(f"{species}; two turns asked", TURNS, frames)
        other = draw_other(requested, rng)
        yield Attack(
            f"{ANIMATED}, wrong order", requested, render_burst(self._animator, plan_burst(other), trial)
        )
        earlier = render_burst(self._animator, plan_burst(draw_challenge(rng)), trial)
        yield Attack("replay of the answer to an earlier challenge", requested, earlier)
        yield Attack("two people: one at rest, another acts", requested, self._mix(requested, trial))

    def animated(self, trial: int, rng: random.Random) -> Iterator[Attack]:
        """Photographs moved by software that feeds the camera, in the right order."""
        requested = draw_challenge(rng)
        plan = plan_burst(requested)
        moved = render_burst(self._animator, plan, trial)
        yield Attack(ANIMATED, requested, moved)
        yield Attack(f"{ANIMATED}, strong noise", requested, [add_noise(each, trial) for each in moved])
        poses = add_hand_motion(plan, trial)
        for species, animator in (
            (f"{ANIMATED}, teeth, lids and shade drawn", self._drawn),
            (f"{ANIMATED}, warped without landmarks", self._warped),
        ):
            frames = [animator.frame(pose, trial * 1000 + at) for at, pose in enumerate(poses)]
            yield Attack(species, requested, frames)
        ended = render_burst(self._second, [None, None], trial + 50)
        yield Attack(f"{ANIMATED}, the end from another photograph", requested, [*moved[:-1], ended[-1]])

    def _mix(self, requested: Sequence[Action], trial: int) -> list[bytes]:
        """The person's own photograph at rest, and an accomplice's for the actions."""
        plan = plan_burst(requested)
        own, others = render_burst(self._animator, plan, trial), render_burst(self._other, plan, trial)
        return [acting if action else rest for action, rest, acting in zip(plan, own, others, strict=True)]


def draw_challenge(rng: random.Random) -> tuple[Action, ...]:
    """Two or three actions, as the server draws them."""
    return draw_actions(rng, list(Action), rng.choice((2, 3)))


def draw_other(requested: Sequence[Action], rng: random.Random) -> tuple[Action, ...]:
    """The same number of actions, but not the requested sequence."""
    while (other := draw_actions(rng, list(Action), len(requested))) == tuple(requested):
        pass
    return other


def add_noise(frame: bytes, seed: int) -> bytes:
    """The frame with strong noise."""
    with Image.open(io.BytesIO(frame)) as image:
        pixels = np.asarray(image.convert("RGB"))
    return noisy_jpeg(pixels, seed * 77 + len(frame), sigma=STRONG_NOISE)

"""Cues at random instants, and how long after each of them its action began.

A phone that supports cues shows each action only at the instant that the server drew. A person reacts some tenths of a
second later, never earlier. A film of an earlier answer shows the actions at other times. Software that animates a
photograph may read the instants from the challenge, and frame times are the phone's own: this proves nothing alone.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from biometrics.liveness.challenge import DetectedAction


@dataclass(frozen=True, slots=True)
class CueRules:
    """When cues come, and which reaction times are plausible; milliseconds, inclusive."""

    min_gap_ms: int
    """Between the start of the burst and the first cue, and between two cues …"""
    max_gap_ms: int
    min_reaction_ms: int
    max_reaction_ms: int
    max_end_ms: int
    """The last cue comes no later than this after the start of the burst."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """The time from a cue to the start of its action, which lies between two frames; milliseconds."""

    cue_ms: int
    after_ms: int
    """The action had not begun this long after the cue (negative: before it) …"""
    within_ms: int
    """… and had begun this long after it."""

    def is_plausible(self, rules: CueRules) -> bool:
        """Whether a person may have reacted to the cue."""
        return self.within_ms >= rules.min_reaction_ms and self.after_ms <= rules.max_reaction_ms

    def figures(self) -> dict[str, int]:
        """As JSON values."""
        return {"cue_ms": self.cue_ms, "after_ms": self.after_ms, "within_ms": self.within_ms}


def draw_cues(random: random.Random, count: int, rules: CueRules) -> tuple[int, ...]:
    """Draw one instant for each action, in milliseconds since the burst began. The server passes SystemRandom.

    Draws whose last cue would be too late are repeated, so all others remain equally likely. Raises ValueError if even the
    shortest gaps end too late.
    """
    if count * rules.min_gap_ms > rules.max_end_ms:
        raise ValueError(
            f"{count} cues at least {rules.min_gap_ms} ms apart do not fit into {rules.max_end_ms} ms"
        )
    while True:
        gaps = [random.randint(rules.min_gap_ms, rules.max_gap_ms) for _ in range(count)]
        if sum(gaps) <= rules.max_end_ms:
            return tuple(accumulate(gaps))


def measure_reactions(
    matched: Sequence[DetectedAction], times_ms: Sequence[int | None], cues_ms: Sequence[int]
) -> tuple[Reaction, ...]:
    """The reaction to each cue. `matched` are the actions in the order of the cues, `times_ms` those of all frames.

    Empty without one cue for each action, or without frame times.
    """
    if len(matched) != len(cues_ms):
        return ()
    reactions = []
    for action, cue_ms in zip(matched, cues_ms, strict=True):
        began, before = times_ms[action.first], times_ms[max(0, action.first - 1)]
        if began is None or before is None:
            return ()
        reactions.append(Reaction(cue_ms, before - cue_ms, began - cue_ms))
    return tuple(reactions)

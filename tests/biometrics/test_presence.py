"""Signals of presence: the change of a face, reactions to cues, and the frames that a person should see."""

import random
from dataclasses import replace

import numpy as np
import pytest

from biometrics.liveness import presence
from biometrics.liveness.actions import Action
from biometrics.liveness.challenge import DetectedAction, measure_frame
from biometrics.liveness.face_change import CHIP_SIDE, choose_moments, measure_change
from biometrics.liveness.presence import choose_frames_to_show, list_presence_doubts
from biometrics.liveness.reactions import Reaction, draw_cues, measure_reactions
from biometrics.liveness.registration import Chip, unexplained_share, warp_onto
from biometrics.pictures.quality import Reason
from tests.support.biometrics.challenge_rules import CHALLENGE, CUES, head_contours

RULES = CHALLENGE.presence
EVERYWHERE = np.ones((CHIP_SIDE, CHIP_SIDE), dtype=bool)


def smooth_chip(seed: int) -> Chip:
    """Blobs of the size of eyes and lips, as in a small face."""
    coarse = np.random.default_rng(seed).uniform(0, 200, (11, 11)).astype(np.float32)
    places = np.linspace(0, 9.9, CHIP_SIDE)
    at, part = places.astype(int), (places % 1).astype(np.float32)
    rows = coarse[at] * (1 - part[:, None]) + coarse[at + 1] * part[:, None]
    chip: Chip = rows[:, at] * (1 - part) + rows[:, at + 1] * part
    return chip


def noisy(chip: Chip, seed: int) -> Chip:
    return chip + np.random.default_rng(seed).normal(0, 2, chip.shape).astype(np.float32)


def bent(chip: Chip) -> Chip:
    """The same picture, moved by a smooth field of up to two pixels, and brighter."""
    rows, columns = np.mgrid[:CHIP_SIDE, :CHIP_SIDE].astype(np.float32)
    x = np.clip(columns + 2 * np.sin(rows / 15), 0, CHIP_SIDE - 1.001)
    y = np.clip(rows + 1.5 * np.cos(columns / 12), 0, CHIP_SIDE - 1.001)
    left, top = x.astype(int), y.astype(int)
    across, down = x - left, y - top
    upper = chip[top, left] * (1 - across) + chip[top, left + 1] * across
    lower = chip[top + 1, left] * (1 - across) + chip[top + 1, left + 1] * across
    moved: Chip = (upper * (1 - down) + lower * down) * 1.2 + 10
    return moved


def action(kind: Action, first: int, peak: int) -> DetectedAction:
    return DetectedAction(kind, first, peak, peak, 2, 0.5)


def test_one_picture_moved_and_brightened_is_explained() -> None:
    chip = smooth_chip(1)
    assert measure_change(noisy(chip, 2), noisy(bent(chip), 3)) < RULES.min_change


def test_another_picture_is_not_explained() -> None:
    one, other = smooth_chip(1), smooth_chip(4)
    assert unexplained_share(warp_onto(one, other), other, EVERYWHERE) > 0.2


def test_flat_pictures_are_never_called_unchanged() -> None:
    flat = np.full((CHIP_SIDE, CHIP_SIDE), 90, dtype=np.float32)
    assert measure_change(flat, flat) == 1.0


def test_moments_are_the_first_and_the_last_that_look_the_same_way() -> None:
    rest, turned = head_contours(), head_contours(Action.TURN_LEFT)
    frames = tuple(
        measure_frame(index, each) for index, each in enumerate((rest, turned, rest, rest, turned))
    )
    assert choose_moments(frames, (0, 2, 3, 4)) == (0, 3)
    assert choose_moments(frames, (0, 2)) == (0, 2)
    assert choose_moments(frames, (0, 4)) is None
    assert choose_moments((), ()) is None


def test_cues_come_within_the_drawn_gaps() -> None:
    cues = [draw_cues(random.Random(seed), 3, CUES) for seed in range(200)]
    gaps = [later - earlier for each in cues for earlier, later in zip((0, *each), each, strict=False)]
    assert min(gaps) >= CUES.min_gap_ms
    assert max(gaps) <= CUES.max_gap_ms
    assert max(each[-1] for each in cues) <= CUES.max_end_ms
    assert len({each[0] for each in cues}) > 100


def test_cues_that_end_too_late_are_drawn_again() -> None:
    rules = replace(CUES, max_end_ms=5000)
    cues = [draw_cues(random.Random(seed), 3, rules) for seed in range(200)]
    assert 4800 < max(each[-1] for each in cues) <= 5000
    with pytest.raises(ValueError, match="do not fit"):
        draw_cues(random.Random(1), 4, rules)


def test_reaction_lies_between_the_frames_around_the_start_of_the_action() -> None:
    times = [0, 400, 800, 1200, 1600, 2000, 2400, 2800, 3200]
    (reaction,) = measure_reactions([action(Action.OPEN_MOUTH, 5, 6)], times, [1700])
    assert reaction == Reaction(1700, -100, 300)
    assert reaction.is_plausible(CUES)


def test_reactions_are_unknown_without_one_cue_for_each_action() -> None:
    assert measure_reactions([action(Action.OPEN_MOUTH, 1, 1)], [0, 400], []) == ()
    assert measure_reactions([], [0, 400], [500]) == ()
    assert measure_reactions([action(Action.OPEN_MOUTH, 1, 1)], [0, None], [100]) == ()


@pytest.mark.parametrize(
    ("reaction", "reason"),
    [
        (Reaction(2000, -600, 149), presence.ACTED_BEFORE_CUE),
        (Reaction(2000, -250, 150), None),
        (Reaction(2000, 2000, 2400), None),
        (Reaction(2000, 2001, 2400), presence.ACTED_LATE),
    ],
)
def test_action_before_its_cue_or_long_after_it_is_doubtful(
    reaction: Reaction, reason: Reason | None
) -> None:
    doubts = list(list_presence_doubts({}, [reaction], RULES))
    assert doubts == ([] if reason is None else [reason])
    assert reaction.is_plausible(CUES) is (reason is None)


def test_signals_below_their_limits_are_doubtful_and_unmeasured_ones_are_not() -> None:
    assert list(list_presence_doubts({}, (), RULES)) == []
    assert RULES.min_flash is not None
    at_limit = {"change": RULES.min_change, "flash": RULES.min_flash}
    assert list(list_presence_doubts(at_limit, (), RULES)) == []
    below = {name: figure - 1e-6 for name, figure in at_limit.items()}
    assert list(list_presence_doubts(below, (), RULES)) == [
        presence.FACE_UNCHANGED,
        presence.NO_SCREEN_LIGHT,
    ]


def test_response_to_the_screen_counts_only_where_switched_on() -> None:
    assert list(list_presence_doubts({"flash": -1.0}, (), replace(RULES, min_flash=None))) == []


def test_person_sees_the_open_mouth_and_the_face_at_rest_next_to_it() -> None:
    matched = [action(Action.TURN_LEFT, 1, 2), action(Action.OPEN_MOUTH, 4, 5)]
    assert choose_frames_to_show(matched, (0, 3, 7)) == (3, 5)
    assert choose_frames_to_show(matched[:1], (0, 3, 7)) == (3, 2)
    assert choose_frames_to_show((), (0, 3)) is None
    assert choose_frames_to_show(matched, ()) is None


def test_reasons_of_presence_differ_from_each_other() -> None:
    doubts = list_presence_doubts(
        {"change": 0.0, "flash": -1.0}, [Reaction(0, -1, 0), Reaction(0, 9000, 9400)], RULES
    )
    assert len({reason.code for reason in doubts}) == 4

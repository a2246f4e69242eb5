import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biometrics.engines.base import Box, Contours, Descriptor, EngineKey, Metric, Point
from biometrics.liveness.actions import Action
from biometrics.liveness.burst import (
    Answer,
    BurstRules,
    Frame,
    LivenessReport,
    check_burst,
    check_challenge,
    watch_actions,
)
from biometrics.liveness.challenge import SeenAction, answer, measured
from biometrics.liveness.risk import Part, Risk, evenness, risk_of, stillness
from biometrics.pictures.fingerprints import Fingerprint
from tests.support.biometrics.challenge_rules import ACTIONS, BURST, CHALLENGE, carried, head

EYES, MOUTH, LEFT, RIGHT = Action
RULES = BurstRules(min_frames=3, min_gap_ms=100, max_gap_ms=2000, max_frame_distance=0.5)
BOX = Box(100, 100, 200, 200)
HEADS: dict[Action | None, Contours] = {action: head(action) for action in (None, *Action)}


def described(place: float) -> Descriptor:
    return Descriptor(EngineKey("a", "1"), Metric.L2, np.array([place, 0], dtype=np.float32))


def frame(
    index: int, at: int | None, box: Box | None = BOX, contours: Contours | None = HEADS[None]
) -> Frame:
    return Frame(Fingerprint(f"{index}", index), at, box, contours)


def codes(frames: list[Frame], places: Sequence[float] = (0, 0.1, 0.2)) -> list[str]:
    return [reason.code for reason in check_burst(frames, [described(place) for place in places], RULES)]


STEADY = [frame(0, 0), frame(1, 300), frame(2, 600)]


# --- one capture of one person ---


def test_a_steady_burst_of_one_person_is_plausible() -> None:
    assert codes(STEADY) == []


def test_too_few_frames_are_not_a_burst() -> None:
    assert codes(STEADY[:2]) == ["too_few_frames"]
    assert codes([], ()) == ["too_few_frames"]


def test_one_picture_sent_twice_is_noticed() -> None:
    assert codes([STEADY[0], STEADY[1], replace(STEADY[2], fingerprint=STEADY[0].fingerprint)]) == [
        "identical_frames"
    ]


@pytest.mark.parametrize("times", [(0, 300, 300), (0, 300, 200), (0, 99, 400), (0, 300, 2301), (600, 300, 0)])
def test_an_implausible_rhythm_is_noticed(times: tuple[int, ...]) -> None:
    assert codes([frame(i, at) for i, at in enumerate(times)]) == ["frame_times_implausible"]


def test_the_bounds_of_the_rhythm_are_plausible() -> None:
    assert codes([frame(0, 0), frame(1, 100), frame(2, 2100)]) == []


def test_missing_times_are_noticed() -> None:
    assert codes([STEADY[0], STEADY[1], frame(2, None)]) == ["frame_times_missing"]


def test_a_change_of_person_within_the_burst_is_noticed() -> None:
    assert codes(STEADY, (0, 0.1, 0.6)) == ["different_people"]


def test_every_frame_needs_one_dominant_face() -> None:
    assert codes([STEADY[0], STEADY[1], replace(STEADY[2], box=None)]) == ["no_dominant_face"]


# --- a challenge ---


def acted(*doing: Action | None, every_ms: int = 400) -> list[Frame]:
    return [
        frame(index, index * every_ms + index % 3, contours=HEADS[action])
        for index, action in enumerate(doing)
    ]


def judged(
    frames: list[Frame], asked: Sequence[Action], places: Sequence[float] = (0.0, 0.1)
) -> LivenessReport:
    given = Answer(frames, watch_actions(frames, ACTIONS), [described(place) for place in places])
    return check_challenge(given, asked, BURST, CHALLENGE)


def spoken(frames: list[Frame], asked: Sequence[Action], places: Sequence[float] = (0.0, 0.1)) -> list[str]:
    return [reason.code for reason in judged(frames, asked, places).reasons]


PLAY = acted(None, EYES, EYES, None, MOUTH, MOUTH, None, LEFT, LEFT, None)
ASKED = (EYES, MOUTH, LEFT)


@pytest.mark.clause("HN334-3.4")
def test_the_asked_actions_in_their_order_answer_a_challenge() -> None:
    report = judged(PLAY, ASKED)
    assert report.reasons == ()
    assert [each.action for each in report.seen] == list(ASKED)
    assert [(each.first, each.last) for each in report.seen] == [(1, 2), (4, 5), (7, 8)]
    assert report.at_rest == (0, 3, 6, 9)
    assert json.dumps(report.figures())


@pytest.mark.clause("HN334-3.4")
def test_no_other_order_answers_it() -> None:
    assert spoken(PLAY, (MOUTH, EYES, LEFT)) == ["actions_out_of_order"]
    assert spoken(PLAY, (EYES, LEFT, MOUTH)) == ["actions_out_of_order"]


def test_a_recording_of_everything_answers_nothing() -> None:
    everything = acted(None, EYES, EYES, None, MOUTH, MOUTH, None, LEFT, LEFT, None, RIGHT, RIGHT, None)
    assert spoken(everything, ASKED) == ["unasked_action"]
    assert spoken(everything, (MOUTH, RIGHT)) == ["unasked_action"]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (EYES, "eyes_not_closed"),
        (MOUTH, "mouth_not_opened"),
        (LEFT, "head_not_turned_left"),
        (RIGHT, "head_not_turned_right"),
    ],
)
def test_whoever_does_nothing_is_told_what_was_missed(asked: Action, code: str) -> None:
    assert spoken(acted(*[None] * 8), (asked,)) == [code]


def test_a_blink_is_no_closing_of_eyes_and_no_unasked_action_either() -> None:
    blink = acted(None, EYES, None, MOUTH, MOUTH, None, None, None)
    assert spoken(blink, (EYES, MOUTH)) == ["eyes_not_closed"]
    assert spoken(blink, (MOUTH,)) == []


def test_a_mouth_that_was_never_closed_does_not_open() -> None:
    assert spoken(acted(MOUTH, MOUTH, MOUTH, *[EYES] * 2, MOUTH, MOUTH, MOUTH), (MOUTH,)) != []
    assert spoken(acted(*[MOUTH] * 8), (MOUTH,)) == ["mouth_not_opened"]


def test_a_mouth_that_flickers_opens_once() -> None:
    assert spoken(acted(None, MOUTH, MOUTH, None, MOUTH, MOUTH, None, None), (MOUTH,)) == []


def test_a_picture_that_is_turned_has_no_depth() -> None:
    """The nose moved sideways with everything of the nose: an affine shear of the flat face."""
    rest = HEADS[None]
    middle = sum(point.y for point in rest.rigid[:4]) / 4
    flat = carried(rest, lambda at: Point(at.x + 0.4 * (at.y - middle), at.y))
    frames = acted(*[None] * 8)
    frames[3], frames[4] = replace(frames[3], contours=flat), replace(frames[4], contours=flat)
    assert spoken(frames, (LEFT,)) == ["turn_without_depth"]
    assert spoken(frames, (MOUTH,)) == ["mouth_not_opened"]


def test_an_engine_without_contours_sends_to_a_person() -> None:
    blind = [replace(each, contours=None) for each in PLAY]
    assert spoken(blind, ASKED) == ["actions_not_measurable"]


def test_another_person_in_a_telling_frame_is_noticed() -> None:
    assert spoken(PLAY, ASKED, (0.0, 0.6)) == ["different_people"]


def test_frames_at_rest_are_compared_and_those_that_prove_an_action_are_told_apart() -> None:
    watched = watch_actions(PLAY, ACTIONS)
    assert watched.telling() == tuple(sorted({each.peak for each in watched.seen}))
    assert watched.resting() == (watched.at_rest[0], watched.at_rest[-1])


def test_where_nothing_is_measured_every_usable_frame_is_compared() -> None:
    watched = watch_actions([replace(each, contours=None) for each in PLAY], ACTIONS)
    assert (watched.resting(), watched.telling()) == (tuple(range(10)), ())


def test_a_face_that_jumps_is_noticed() -> None:
    beside = [replace(each, box=BOX.moved(60, 0)) if at == 5 else each for at, each in enumerate(PLAY)]
    grown = [replace(each, box=BOX.grown(0.3)) if at == 5 else each for at, each in enumerate(PLAY)]
    moving = [replace(each, box=BOX.moved(40 * at, 0)) for at, each in enumerate(PLAY)]
    assert spoken(beside, ASKED) == ["face_jumped"]
    assert spoken(grown, ASKED) == ["face_jumped"]
    assert spoken(moving, ASKED) == []


def test_an_answer_that_takes_too_long_is_asked_for_again() -> None:
    slow = acted(*[None] * 3, EYES, EYES, *[None] * 5, every_ms=2300)
    assert spoken(slow, (EYES,)) == ["answer_too_slow"]


def test_a_frame_lost_to_movement_is_excused_and_more_are_not() -> None:
    def losing(*lost: int) -> list[Frame]:
        return [
            replace(each, box=None, contours=None) if at in lost else each for at, each in enumerate(PLAY)
        ]

    assert spoken(losing(6), ASKED) == []
    assert spoken(losing(6, 9), ASKED) == ["no_dominant_face"]


def test_closed_eyes_are_measured_against_the_same_burst() -> None:
    narrow = carried(HEADS[None], lambda at: at)
    eyes = tuple(Point(at.x, 92 + (at.y - 92) * 0.5) for at in narrow.left_eye)
    asleep = replace(narrow, left_eye=eyes, right_eye=eyes)
    assert spoken([frame(i, 400 * i, contours=asleep) for i in range(8)], (EYES,)) == ["eyes_not_closed"]
    assert measured(0, asleep).expression.eyes < measured(0, HEADS[None]).expression.eyes


def seen(action: Action, at: int, frames: int = 2, depth: float | None = None) -> SeenAction:
    return SeenAction(action, at, at + frames - 1, at, frames, 1.0, depth)


CHALLENGES = st.lists(st.sampled_from(Action), min_size=1, max_size=3).filter(
    lambda asked: all(one is not other for one, other in pairwise(asked))
)


@settings(max_examples=200)
@given(CHALLENGES, CHALLENGES)
def test_what_is_done_answers_exactly_the_challenge_that_asks_it(
    done: list[Action], asked: list[Action]
) -> None:
    found = answer([seen(action, 3 * at) for at, action in enumerate(done)], asked, ACTIONS)
    assert (found is not None) == (done == asked)
    if found is not None:
        assert [each.action for each in found] == asked


@given(CHALLENGES, st.lists(st.tuples(st.integers(0, 8), st.sampled_from(Action)), max_size=3))
def test_what_is_short_or_flat_and_not_asked_may_be_passed_over(
    asked: list[Action], extras: list[tuple[int, Action]]
) -> None:
    frames = [seen(action, 3 * at) for at, action in enumerate(asked)]
    frames += [seen(action, at, frames=1) for at, action in extras]
    frames += [seen(RIGHT, 1, frames=4, depth=0.01)]
    assert answer(sorted(frames, key=lambda each: each.first), asked, ACTIONS) is not None


# --- risk ---


@given(
    st.dictionaries(st.sampled_from(["moire", "irregular", "flash", "stillness", "rhythm"]), st.floats(-5, 5))
)
def test_no_signal_lowers_the_risk_and_none_decides_alone(signals: dict[str, float]) -> None:
    risk = risk_of(signals, CHALLENGE.risk)
    assert 0 <= risk.score < 1
    for part in risk.parts:
        assert 0 <= part.suspicion <= 1
        assert Risk(tuple(each for each in risk.parts if each is not part)).score <= risk.score + 1e-12
        assert Risk((part,)).score <= 0.5


def test_suspicion_grows_over_the_span_of_a_signal_in_either_direction() -> None:
    spans = replace(CHALLENGE.risk, moire=(1.0, 2.0), flash=(0.2, -0.2))
    risk = risk_of({"moire": 1.5, "flash": 0.1}, spans)
    assert [part.suspicion for part in risk.parts] == pytest.approx([0.5, 0.25])
    assert risk.parts[0] == Part("moire", 1.5, 0.5)


def test_a_still_hand_and_an_even_pace_are_measured() -> None:
    assert stillness([HEADS[None]] * 3) == 0
    moved = carried(HEADS[None], lambda at: Point(at.x + 10.8, at.y))
    assert stillness([HEADS[None], moved]) == pytest.approx(0.1)
    assert stillness([HEADS[None]]) is None
    assert evenness([0, 300, 600, 900]) == 1
    assert evenness([0, 300, 650, 900]) == pytest.approx(1 / 3)
    assert evenness([0]) is None

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
    BurstRules,
    Frame,
    LivenessReport,
    ObservedBurst,
    check_burst,
    check_challenge,
    observe_actions,
)
from biometrics.liveness.challenge import DetectedAction, match_actions, measure_frame
from biometrics.liveness.risk import Risk, RiskPart, gap_regularity, rate_risk, stillness
from biometrics.pictures.fingerprints import Fingerprint
from tests.support.biometrics.challenge_rules import ACTIONS, BURST, CHALLENGE, head_contours, map_points

EYES, MOUTH, LEFT, RIGHT = Action
RULES = BurstRules(min_frames=3, min_gap_ms=100, max_gap_ms=2000, max_frame_distance=0.5)
BOX = Box(100, 100, 200, 200)
HEADS: dict[Action | None, Contours] = {action: head_contours(action) for action in (None, *Action)}


def descriptor_at(place: float) -> Descriptor:
    return Descriptor(EngineKey("a", "1"), Metric.L2, np.array([place, 0], dtype=np.float32))


def make_frame(
    index: int, at: int | None, box: Box | None = BOX, contours: Contours | None = HEADS[None]
) -> Frame:
    return Frame(Fingerprint(f"{index}", index), at, box, contours)


def burst_reasons(frames: list[Frame], places: Sequence[float] = (0, 0.1, 0.2)) -> list[str]:
    return [reason.code for reason in check_burst(frames, [descriptor_at(place) for place in places], RULES)]


STEADY = [make_frame(0, 0), make_frame(1, 300), make_frame(2, 600)]


# --- one capture of one person ---


def test_steady_burst_of_one_person_is_plausible() -> None:
    assert burst_reasons(STEADY) == []


def test_too_few_frames_are_rejected() -> None:
    assert burst_reasons(STEADY[:2]) == ["too_few_frames"]
    assert burst_reasons([], ()) == ["too_few_frames"]


def test_identical_frames_are_detected() -> None:
    assert burst_reasons([STEADY[0], STEADY[1], replace(STEADY[2], fingerprint=STEADY[0].fingerprint)]) == [
        "identical_frames"
    ]


@pytest.mark.parametrize("times", [(0, 300, 300), (0, 300, 200), (0, 99, 400), (0, 300, 2301), (600, 300, 0)])
def test_implausible_frame_times_are_detected(times: tuple[int, ...]) -> None:
    assert burst_reasons([make_frame(i, at) for i, at in enumerate(times)]) == ["frame_times_implausible"]


def test_frame_gaps_at_the_limits_are_plausible() -> None:
    assert burst_reasons([make_frame(0, 0), make_frame(1, 100), make_frame(2, 2100)]) == []


def test_missing_frame_times_are_detected() -> None:
    assert burst_reasons([STEADY[0], STEADY[1], make_frame(2, None)]) == ["frame_times_missing"]


def test_change_of_person_is_detected() -> None:
    assert burst_reasons(STEADY, (0, 0.1, 0.6)) == ["different_people"]


def test_every_frame_needs_one_dominant_face() -> None:
    assert burst_reasons([STEADY[0], STEADY[1], replace(STEADY[2], box=None)]) == ["no_dominant_face"]


# --- a challenge ---


def make_frames(*doing: Action | None, every_ms: int = 400) -> list[Frame]:
    return [
        make_frame(index, index * every_ms + index % 3, contours=HEADS[action])
        for index, action in enumerate(doing)
    ]


def run_challenge(
    frames: list[Frame], requested: Sequence[Action], places: Sequence[float] = (0.0, 0.1)
) -> LivenessReport:
    burst = ObservedBurst(
        frames, observe_actions(frames, ACTIONS), [descriptor_at(place) for place in places]
    )
    return check_challenge(burst, requested, BURST, CHALLENGE)


def challenge_reasons(
    frames: list[Frame], requested: Sequence[Action], places: Sequence[float] = (0.0, 0.1)
) -> list[str]:
    return [reason.code for reason in run_challenge(frames, requested, places).reasons]


FRAMES = make_frames(None, EYES, EYES, None, MOUTH, MOUTH, None, LEFT, LEFT, None)
REQUESTED = (EYES, MOUTH, LEFT)


@pytest.mark.clause("HN334-3.4")
def test_requested_actions_in_order_pass_the_challenge() -> None:
    report = run_challenge(FRAMES, REQUESTED)
    assert report.reasons == ()
    assert [each.action for each in report.detected] == list(REQUESTED)
    assert [(each.first, each.last) for each in report.detected] == [(1, 2), (4, 5), (7, 8)]
    assert report.at_rest == (0, 3, 6, 9)
    assert json.dumps(report.figures())


@pytest.mark.clause("HN334-3.4")
def test_other_orders_fail_the_challenge() -> None:
    assert challenge_reasons(FRAMES, (MOUTH, EYES, LEFT)) == ["actions_out_of_order"]
    assert challenge_reasons(FRAMES, (EYES, LEFT, MOUTH)) == ["actions_out_of_order"]


def test_recording_of_all_actions_fails() -> None:
    everything = make_frames(None, EYES, EYES, None, MOUTH, MOUTH, None, LEFT, LEFT, None, RIGHT, RIGHT, None)
    assert challenge_reasons(everything, REQUESTED) == ["unasked_action"]
    assert challenge_reasons(everything, (MOUTH, RIGHT)) == ["unasked_action"]


@pytest.mark.parametrize(
    ("requested", "code"),
    [
        (EYES, "eyes_not_closed"),
        (MOUTH, "mouth_not_opened"),
        (LEFT, "head_not_turned_left"),
        (RIGHT, "head_not_turned_right"),
    ],
)
def test_missing_action_has_its_own_reason(requested: Action, code: str) -> None:
    assert challenge_reasons(make_frames(*[None] * 8), (requested,)) == [code]


def test_blink_counts_neither_as_closed_eyes_nor_as_extra_action() -> None:
    blink = make_frames(None, EYES, None, MOUTH, MOUTH, None, None, None)
    assert challenge_reasons(blink, (EYES, MOUTH)) == ["eyes_not_closed"]
    assert challenge_reasons(blink, (MOUTH,)) == []


def test_open_mouth_must_have_been_closed_before() -> None:
    assert (
        challenge_reasons(make_frames(MOUTH, MOUTH, MOUTH, *[EYES] * 2, MOUTH, MOUTH, MOUTH), (MOUTH,)) != []
    )
    assert challenge_reasons(make_frames(*[MOUTH] * 8), (MOUTH,)) == ["mouth_not_opened"]


def test_flickering_mouth_counts_once() -> None:
    assert challenge_reasons(make_frames(None, MOUTH, MOUTH, None, MOUTH, MOUTH, None, None), (MOUTH,)) == []


def test_turned_picture_has_no_depth() -> None:
    """An affine shear of the flat face moves the nose sideways, but leaves no planar residual."""
    rest = HEADS[None]
    middle = sum(point.y for point in rest.rigid[:4]) / 4
    flat = map_points(rest, lambda at: Point(at.x + 0.4 * (at.y - middle), at.y))
    frames = make_frames(*[None] * 8)
    frames[3], frames[4] = replace(frames[3], contours=flat), replace(frames[4], contours=flat)
    assert challenge_reasons(frames, (LEFT,)) == ["turn_without_depth"]
    assert challenge_reasons(frames, (MOUTH,)) == ["mouth_not_opened"]


def test_engine_without_contours_cannot_measure_actions() -> None:
    blind = [replace(each, contours=None) for each in FRAMES]
    assert challenge_reasons(blind, REQUESTED) == ["actions_not_measurable"]


def test_another_person_in_an_action_frame_is_detected() -> None:
    assert challenge_reasons(FRAMES, REQUESTED, (0.0, 0.6)) == ["different_people"]


def test_rest_frames_and_action_frames_are_selected() -> None:
    observed = observe_actions(FRAMES, ACTIONS)
    turn = next(each for each in observed.detected if each.depth is not None)
    assert observed.action_frames() == (turn.peak,)
    assert observed.rest_frames() == (observed.at_rest[0], observed.at_rest[-1])
    without_turn = replace(observed, detected=tuple(each for each in observed.detected if each.depth is None))
    assert without_turn.action_frames() == (without_turn.detected[0].peak,)
    assert replace(observed, detected=()).action_frames() == ()


def test_all_usable_frames_are_compared_without_measurements() -> None:
    observed = observe_actions([replace(each, contours=None) for each in FRAMES], ACTIONS)
    assert (observed.rest_frames(), observed.action_frames()) == (tuple(range(10)), ())


def test_jumping_face_is_detected() -> None:
    beside = [replace(each, box=BOX.moved(60, 0)) if at == 5 else each for at, each in enumerate(FRAMES)]
    grown = [replace(each, box=BOX.grown(0.3)) if at == 5 else each for at, each in enumerate(FRAMES)]
    moving = [replace(each, box=BOX.moved(40 * at, 0)) for at, each in enumerate(FRAMES)]
    assert challenge_reasons(beside, REQUESTED) == ["face_jumped"]
    assert challenge_reasons(grown, REQUESTED) == ["face_jumped"]
    assert challenge_reasons(moving, REQUESTED) == []


def test_slow_answer_is_rejected() -> None:
    slow = make_frames(*[None] * 3, EYES, EYES, *[None] * 5, every_ms=2300)
    assert challenge_reasons(slow, (EYES,)) == ["answer_too_slow"]


def test_only_the_allowed_number_of_lost_frames_is_ignored() -> None:
    def losing(*lost: int) -> list[Frame]:
        return [
            replace(each, box=None, contours=None) if at in lost else each for at, each in enumerate(FRAMES)
        ]

    assert challenge_reasons(losing(6), REQUESTED) == []
    assert challenge_reasons(losing(6, 9), REQUESTED) == ["no_dominant_face"]


def test_closed_eyes_are_relative_to_the_same_burst() -> None:
    narrow = map_points(HEADS[None], lambda at: at)
    eyes = tuple(Point(at.x, 92 + (at.y - 92) * 0.5) for at in narrow.left_eye)
    asleep = replace(narrow, left_eye=eyes, right_eye=eyes)
    assert challenge_reasons([make_frame(i, 400 * i, contours=asleep) for i in range(8)], (EYES,)) == [
        "eyes_not_closed"
    ]
    assert measure_frame(0, asleep).expression.eyes < measure_frame(0, HEADS[None]).expression.eyes


def make_action(action: Action, at: int, frames: int = 2, depth: float | None = None) -> DetectedAction:
    return DetectedAction(action, at, at + frames - 1, at, frames, 1.0, depth)


CHALLENGES = st.lists(st.sampled_from(Action), min_size=1, max_size=3).filter(
    lambda requested: all(one is not other for one, other in pairwise(requested))
)


@settings(max_examples=200)
@given(CHALLENGES, CHALLENGES)
def test_actions_match_exactly_the_challenge_that_requests_them(
    done: list[Action], requested: list[Action]
) -> None:
    found = match_actions([make_action(action, 3 * at) for at, action in enumerate(done)], requested, ACTIONS)
    assert (found is not None) == (done == requested)
    if found is not None:
        assert [each.action for each in found] == requested


@given(CHALLENGES, st.lists(st.tuples(st.integers(0, 8), st.sampled_from(Action)), max_size=3))
def test_short_or_flat_extra_actions_are_skipped(
    requested: list[Action], extras: list[tuple[int, Action]]
) -> None:
    frames = [make_action(action, 3 * at) for at, action in enumerate(requested)]
    frames += [make_action(action, at, frames=1) for at, action in extras]
    frames += [make_action(RIGHT, 1, frames=4, depth=0.01)]
    assert match_actions(sorted(frames, key=lambda each: each.first), requested, ACTIONS) is not None


# --- risk ---


@given(
    st.dictionaries(st.sampled_from(["moire", "irregular", "flash", "stillness", "rhythm"]), st.floats(-5, 5))
)
def test_signals_only_raise_the_risk_and_each_at_most_by_half(signals: dict[str, float]) -> None:
    risk = rate_risk(signals, CHALLENGE.risk)
    assert 0 <= risk.score < 1
    for part in risk.parts:
        assert 0 <= part.suspicion <= 1
        assert Risk(tuple(each for each in risk.parts if each is not part)).score <= risk.score + 1e-12
        assert Risk((part,)).score <= 0.5


def test_suspicion_grows_linearly_in_either_direction() -> None:
    spans = replace(CHALLENGE.risk, moire=(1.0, 2.0), flash=(0.2, -0.2))
    risk = rate_risk({"moire": 1.5, "flash": 0.1}, spans)
    assert [part.suspicion for part in risk.parts] == pytest.approx([0.5, 0.25])
    assert risk.parts[0] == RiskPart("moire", 1.5, 0.5)


def test_stillness_and_gap_regularity_are_measured() -> None:
    assert stillness([HEADS[None]] * 3) == 0
    moved = map_points(HEADS[None], lambda at: Point(at.x + 10.8, at.y))
    assert stillness([HEADS[None], moved]) == pytest.approx(0.1)
    assert stillness([HEADS[None]]) is None
    assert gap_regularity([0, 300, 600, 900]) == 1
    assert gap_regularity([0, 300, 650, 900]) == pytest.approx(1 / 3)
    assert gap_regularity([0]) is None

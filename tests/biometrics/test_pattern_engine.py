from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biometrics.engines.base import Descriptor, DetectedFace, distance
from biometrics.engines.test_pattern import PatternEngine, render_pattern
from biometrics.liveness.actions import Action
from biometrics.liveness.challenge import detect_actions, measure_frame
from biometrics.pictures.decoding import DecodeLimits, Picture, picture_from_pixels, reencode
from biometrics.pictures.quality import QualityLimits, check_quality, measure_quality
from tests.support.biometrics.challenge_rules import ACTIONS

ENGINE = PatternEngine()
SEEDS = st.integers(0, 2**40)


def read_pattern(data: bytes) -> tuple[Picture, DetectedFace, Descriptor]:
    picture = Picture.open(data, DecodeLimits())
    (face,) = ENGINE.detect(picture)
    (descriptor,) = ENGINE.embed([(picture, face)])
    return picture, face, descriptor


@settings(max_examples=60, deadline=None)
@given(SEEDS, SEEDS, st.integers(0, 99), st.integers(0, 99))
def test_shots_of_one_seed_are_close_and_of_two_are_far(one: int, other: int, shot: int, later: int) -> None:
    first, second = read_pattern(render_pattern(one, shot))[2], read_pattern(render_pattern(other, later))[2]
    if one == other:
        assert distance(first, second) < 0.1
    else:
        assert distance(first, second) > 0.7
    assert distance(first, read_pattern(render_pattern(one, later))[2]) < 0.1


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(0, 99))
def test_pattern_passes_the_quality_limits(seed: int, shot: int) -> None:
    picture, face, _ = read_pattern(render_pattern(seed, shot))
    assert check_quality(measure_quality(picture, [face]), QualityLimits()) == ()


def test_pattern_survives_jpeg_encoding() -> None:
    picture, _, before = read_pattern(render_pattern(5, 0))
    after = read_pattern(reencode(picture))[2]
    assert distance(before, after) < 0.05


@pytest.mark.parametrize("action", list(Action))
def test_pattern_performs_its_marked_action(action: Action) -> None:
    frames = []
    for shot, doing in enumerate([None, action, action, None, None, None]):
        picture, face, descriptor = read_pattern(reencode(read_pattern(render_pattern(5, shot, doing))[0]))
        contours = ENGINE.find_contours(picture, face)
        assert contours is not None
        frames.append(measure_frame(shot, contours))
        assert distance(descriptor, read_pattern(render_pattern(5, 9))[2]) < 0.1
        assert check_quality(measure_quality(picture, [face]), QualityLimits()) == ()
    (found,) = detect_actions(frames, ACTIONS)
    assert (found.action, found.first, found.last) == (action, 1, 2)


def test_rendering_is_deterministic_and_shots_differ() -> None:
    assert render_pattern(5, 1) == render_pattern(5, 1)
    assert render_pattern(5, 1) != render_pattern(5, 2)


def test_no_pattern_is_detected_in_photographs(people: dict[str, tuple[Path, ...]]) -> None:
    for path in [*people["obama"], *people["biden"], *people["att-s01"]]:
        assert ENGINE.detect(Picture.open(path.read_bytes(), DecodeLimits())) == []


@pytest.mark.parametrize("change", ["inverted", "faint", "shifted", "scaled", "black"])
def test_disturbed_pattern_is_not_detected(change: str) -> None:
    pixels = read_pattern(render_pattern(5, 0))[0].rgb().pixels
    disturbed = {
        "inverted": 255 - pixels,
        "faint": pixels // 4 + 96,
        "shifted": np.roll(pixels, 12, axis=1),
        "scaled": pixels[::2, ::2],
        "black": np.zeros_like(pixels),
    }[change]
    assert ENGINE.detect(picture_from_pixels(np.ascontiguousarray(disturbed))) == []


def test_engine_is_marked_as_test_only() -> None:
    assert ENGINE.info().test_only
    assert str(ENGINE.info().key) == "test-pattern/1"

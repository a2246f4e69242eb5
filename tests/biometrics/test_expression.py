import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biometrics.engines.base import Contours, Point
from biometrics.engines.dlib_onnx import DlibOnnxEngine
from biometrics.liveness.actions import Action
from biometrics.liveness.expression import measure_expression, planar_residual
from biometrics.pictures.decoding import DecodeLimits, Picture
from tests.support.biometrics import shipped_engine
from tests.support.biometrics.challenge_rules import head_contours, map_points

REST = head_contours()
SMALL = st.floats(-0.2, 0.2)


def measure(contours: Contours) -> tuple[float, float, float]:
    found = measure_expression(contours)
    return found.eyes, found.mouth, found.turn


@given(st.floats(0.2, 5), st.floats(-math.pi, math.pi), st.floats(-500, 500), st.floats(-500, 500))
def test_measures_do_not_depend_on_position_size_or_tilt(
    size: float, angle: float, x: float, y: float
) -> None:
    cos, sin = size * math.cos(angle), size * math.sin(angle)
    moved = map_points(REST, lambda at: Point(cos * at.x - sin * at.y + x, sin * at.x + cos * at.y + y))
    assert measure(moved) == pytest.approx(measure(REST), abs=1e-6)


@settings(deadline=None)
@given(st.lists(SMALL, min_size=6, max_size=6), SMALL, SMALL)
def test_flat_object_has_no_residual_in_any_position(linear: list[float], tilt: float, nod: float) -> None:
    def project(at: Point) -> Point:
        x, y = at.x / 200, at.y / 200
        depth = 1 + tilt * x + nod * y
        return Point(
            200 * ((1 + linear[0]) * x + linear[1] * y + linear[2]) / depth,
            200 * (linear[3] * x + (1 + linear[4]) * y + linear[5]) / depth,
        )

    assert planar_residual(REST, map_points(REST, project)) < 1e-6


@pytest.mark.parametrize("action", [Action.TURN_LEFT, Action.TURN_RIGHT])
def test_turned_head_has_a_residual(action: Action) -> None:
    assert planar_residual(REST, head_contours(action)) > 0.03


@pytest.mark.parametrize("action", [Action.CLOSE_EYES, Action.OPEN_MOUTH])
def test_eyelids_and_lips_have_no_residual(action: Action) -> None:
    assert planar_residual(REST, head_contours(action)) < 1e-6


def test_turn_to_the_own_left_moves_the_nose_right_in_the_image() -> None:
    assert measure_expression(head_contours(Action.TURN_LEFT)).turn > 0.15
    assert measure_expression(head_contours(Action.TURN_RIGHT)).turn < -0.15


def test_face_of_size_zero_measures_zero() -> None:
    point = map_points(REST, lambda _: Point(3, 3))
    assert measure(point) == (0, 0, 0)
    assert planar_residual(point, point) == 0
    assert planar_residual(REST, point) < 1


def test_real_turned_heads_have_a_larger_residual(
    people: dict[str, tuple[Path, ...]],
) -> None:
    engine = shipped_engine.engine(shipped_engine.landmark_model())
    turned: list[float] = []
    straight: list[float] = []
    for name in ("att-s01", "att-s04", "att-s07"):
        found = []
        for path in people[name][:8]:
            picture = Picture.open(path.read_bytes(), DecodeLimits())
            faces = engine.detect(picture)
            contours = engine.find_contours(picture, faces[0]) if faces else None
            if contours is not None:
                found.append(contours)
        for one, other in combinations(found, 2):
            change = abs(measure_expression(one).turn - measure_expression(other).turn)
            (turned if change >= 0.15 else straight if change < 0.03 else []).append(
                planar_residual(one, other)
            )
    assert len(turned) > 5
    assert np.median(turned) > 0.03 > np.median(straight)


def test_engine_without_a_landmark_model_finds_no_contours(
    dlib_engine: DlibOnnxEngine, people: dict[str, tuple[Path, ...]]
) -> None:
    picture = Picture.open(people["att-s01"][0].read_bytes(), DecodeLimits())
    (face,) = dlib_engine.detect(picture)
    assert dlib_engine.find_contours(picture, face) is None
    assert dlib_engine.info().landmark_model == ""
    with_model = shipped_engine.engine(shipped_engine.landmark_model())
    assert "no commercial use" in with_model.info().landmark_model

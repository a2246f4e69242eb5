import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biometrics.engine import Descriptor, EngineKey, Metric
from biometrics.errors import EngineMismatch
from biometrics.matching import (
    Decision,
    EnrolmentRules,
    FaceThresholds,
    ShotsDisagree,
    ShotsTooFew,
    ThresholdsInvalid,
    average,
    build_template,
    compare,
    decide,
)

KEY = EngineKey("a", "1")
RULES = EnrolmentRules(min_shots=3, max_shot_distance=1.0)
THRESHOLDS = FaceThresholds(accept_at=0.4, reject_at=0.5)
VECTORS = st.lists(st.floats(-0.25, 0.25, width=32), min_size=4, max_size=4)


def descriptor(*values: float, key: EngineKey = KEY) -> Descriptor:
    return Descriptor(key, Metric.L2, np.array(values, dtype=np.float32))


@pytest.mark.parametrize(
    ("score", "decision"),
    [
        (0.0, "accept"),
        (0.4, "accept"),
        (0.40001, "step_up"),
        (0.49999, "step_up"),
        (0.5, "reject"),
        (9.0, "reject"),
    ],
)
def test_the_bounds_of_accept_and_reject_belong_to_them(score: float, decision: str) -> None:
    assert decide(score, Metric.L2, THRESHOLDS) is Decision(decision)


@given(st.floats(0, 2), st.floats(0, 2), st.floats(0.01, 1), st.floats(0, 1))
def test_a_closer_face_never_gets_a_worse_answer(one: float, other: float, accept: float, gap: float) -> None:
    order = [Decision.ACCEPT, Decision.STEP_UP, Decision.REJECT]
    thresholds = FaceThresholds(accept, accept + gap)
    near, far = sorted((one, other))
    assert order.index(decide(near, Metric.L2, thresholds)) <= order.index(decide(far, Metric.L2, thresholds))


@pytest.mark.parametrize("score", [math.nan, -0.1])
def test_what_is_no_distance_gets_no_answer(score: float) -> None:
    with pytest.raises(ThresholdsInvalid):
        decide(score, Metric.L2, THRESHOLDS)


@pytest.mark.parametrize(
    ("accept", "reject"), [(0.5, 0.4), (0.0, 0.5), (math.nan, 0.5), (0.4, math.inf), (-1, 1)]
)
def test_thresholds_without_order_are_refused(accept: float, reject: float) -> None:
    with pytest.raises(ThresholdsInvalid):
        FaceThresholds(accept, reject)


def test_a_template_needs_enough_shots() -> None:
    with pytest.raises(ShotsTooFew) as caught:
        build_template([descriptor(0, 0), descriptor(0, 0)], RULES)
    assert caught.value.params == {"usable": 2, "needed": 3}


def test_no_rule_makes_a_template_of_nothing() -> None:
    with pytest.raises(ShotsTooFew):
        build_template([], EnrolmentRules(min_shots=0, max_shot_distance=1.0))


def test_one_shot_of_somebody_else_spoils_the_template() -> None:
    with pytest.raises(ShotsDisagree):
        build_template([descriptor(0, 0), descriptor(0.1, 0), descriptor(0, 1.1)], RULES)


def test_shots_of_two_engines_make_no_template() -> None:
    with pytest.raises(EngineMismatch):
        build_template([descriptor(0), descriptor(0), descriptor(0, key=EngineKey("a", "2"))], RULES)


@given(st.lists(VECTORS, min_size=3, max_size=6))
def test_a_template_is_the_mean_and_knows_its_spread(vectors: list[list[float]]) -> None:
    template = build_template([descriptor(*vector) for vector in vectors], RULES)
    assert np.allclose(template.mean, np.mean(vectors, axis=0), atol=1e-6)
    assert template.shots == len(vectors)
    pairs = [np.linalg.norm(np.subtract(a, b)) for a in vectors for b in vectors]
    assert template.spread == pytest.approx(max(pairs), abs=1e-5)


@given(st.lists(VECTORS, min_size=3, max_size=5))
def test_the_order_of_a_burst_does_not_matter(vectors: list[list[float]]) -> None:
    template = build_template([descriptor(0, 0, 0, 0)] * 3, RULES)
    forth = compare(template, [descriptor(*vector) for vector in vectors])
    back = compare(template, [descriptor(*vector) for vector in reversed(vectors)])
    assert forth == pytest.approx(back, abs=1e-6)


def test_a_probe_is_averaged_over_the_burst() -> None:
    template = build_template([descriptor(0, 0)] * 3, RULES)
    assert compare(template, [descriptor(0.3, 0), descriptor(-0.3, 0)]) == pytest.approx(0)
    assert average([descriptor(1, 0), descriptor(0, 1)]).vector.tolist() == [0.5, 0.5]

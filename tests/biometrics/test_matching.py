import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biometrics.engines.base import Descriptor, EngineKey, Metric
from biometrics.errors import EngineMismatch
from biometrics.matching.decision import (
    Decision,
    EnrolmentRules,
    FaceThresholds,
    Method,
    ShotsDisagree,
    ShotsTooFew,
    ThresholdsInvalid,
    build_template,
    decide,
    mean_descriptor,
)

KEY = EngineKey("a", "1")
RULES = EnrolmentRules(min_shots=3, max_shot_distance=1.0)
THRESHOLDS = FaceThresholds(accept_from=0.5, reject_below=0.4, method=Method.CENTRED)
VECTORS = st.lists(st.floats(-0.25, 0.25, width=32), min_size=4, max_size=4)


def descriptor(*values: float, key: EngineKey = KEY) -> Descriptor:
    return Descriptor(key, Metric.L2, np.array(values, dtype=np.float32))


@pytest.mark.parametrize(
    ("score", "decision"),
    [
        (1.0, "accept"),
        (0.5, "accept"),
        (0.49999, "step_up"),
        (0.4, "step_up"),
        (0.39999, "reject"),
        (-9.0, "reject"),
    ],
)
def test_thresholds_are_inclusive(score: float, decision: str) -> None:
    assert decide(score, Method.CENTRED, THRESHOLDS) is Decision(decision)


@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(-1, 1), st.floats(0, 1))
def test_higher_score_never_gives_a_worse_decision(
    one: float, other: float, accept: float, gap: float
) -> None:
    order = [Decision.REJECT, Decision.STEP_UP, Decision.ACCEPT]
    thresholds = FaceThresholds(accept, accept - gap, Method.CENTRED)
    far, near = (order.index(decide(score, Method.CENTRED, thresholds)) for score in sorted((one, other)))
    assert far <= near


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_score_must_be_finite(score: float) -> None:
    with pytest.raises(ThresholdsInvalid):
        decide(score, Method.CENTRED, THRESHOLDS)


def test_thresholds_of_another_method_are_rejected() -> None:
    with pytest.raises(ThresholdsInvalid):
        decide(0.9, Method.NEUTRAL, THRESHOLDS)


@pytest.mark.parametrize(
    ("accept", "reject"), [(0.4, 0.5), (math.nan, 0.5), (0.4, math.nan), (math.inf, 0.4), (0.4, -math.inf)]
)
def test_unordered_thresholds_are_rejected(accept: float, reject: float) -> None:
    with pytest.raises(ThresholdsInvalid):
        FaceThresholds(accept, reject, Method.CENTRED)


def test_a_template_needs_enough_shots() -> None:
    with pytest.raises(ShotsTooFew) as caught:
        build_template([descriptor(0, 0), descriptor(0, 0)], RULES)
    assert caught.value.params == {"usable": 2, "needed": 3}


def test_template_without_shots_is_rejected_by_any_rule() -> None:
    with pytest.raises(ShotsTooFew):
        build_template([], EnrolmentRules(min_shots=0, max_shot_distance=1.0))


def test_shot_of_another_person_is_rejected() -> None:
    with pytest.raises(ShotsDisagree):
        build_template([descriptor(0, 0), descriptor(0.1, 0), descriptor(0, 1.1)], RULES)


def test_shots_of_two_engines_make_no_template() -> None:
    with pytest.raises(EngineMismatch):
        build_template([descriptor(0), descriptor(0), descriptor(0, key=EngineKey("a", "2"))], RULES)


@given(st.lists(VECTORS, min_size=3, max_size=6))
def test_template_is_the_mean_with_its_spread(vectors: list[list[float]]) -> None:
    template = build_template([descriptor(*vector) for vector in vectors], RULES)
    assert np.allclose(template.mean, np.mean(vectors, axis=0), atol=1e-6)
    assert template.shots == len(vectors)
    pairs = [np.linalg.norm(np.subtract(a, b)) for a in vectors for b in vectors]
    assert template.spread == pytest.approx(max(pairs), abs=1e-5)


@given(st.lists(VECTORS, min_size=3, max_size=5))
def test_order_of_a_burst_does_not_matter(vectors: list[list[float]]) -> None:
    burst = [descriptor(*vector) for vector in vectors]
    assert np.allclose(mean_descriptor(burst).vector, mean_descriptor(burst[::-1]).vector, atol=1e-6)


def test_probe_is_the_mean_of_the_burst() -> None:
    assert mean_descriptor([descriptor(1, 0), descriptor(0, 1)]).vector.tolist() == [0.5, 0.5]

import math
from collections.abc import Callable
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.datum import Datum, convert
from geo.errors import FixNotFinite, FixOutOfRange, FixStale, GeoError, ThresholdsInvalid
from geo.fence import Decision, FenceReason, FenceThresholds, decide, decide_many
from geo.location_fixes import Fix
from geo.probability import RADIUS_95_PER_SIGMA
from geo.site import Site

WEST_EDGE = 113.600
MIDDLE = (113.6025, 34.7015)
DEGREE_EAST_M = 91_603.0
"""Metres in a degree of longitude at 34.7015° north."""


def west_of_edge(metres: float, accuracy_m: float) -> Fix:
    return Fix(WEST_EDGE - metres / DEGREE_EAST_M, MIDDLE[1], accuracy_m)


@pytest.mark.clause("HN334-3.4")
def test_accurate_fix_on_campus_is_inside(campus: Site, thresholds: FenceThresholds) -> None:
    answer = decide([Fix(*MIDDLE, 15.0)], campus, thresholds)
    assert (answer.decision, answer.reasons) == (Decision.INSIDE, ())
    assert answer.probability_inside == 1.0
    assert answer.distance_m == pytest.approx(-166.4, abs=0.2)


@pytest.mark.clause("HN334-3.4")
def test_accurate_fix_two_kilometres_away_is_outside(campus: Site, thresholds: FenceThresholds) -> None:
    answer = decide([west_of_edge(2000, 15.0)], campus, thresholds)
    assert (answer.decision, answer.reasons) == (Decision.OUTSIDE, ())
    assert answer.distance_m == pytest.approx(2000, rel=0.001)


@pytest.mark.clause("HN334-3.4")
def test_fix_at_the_gate_is_uncertain_with_a_reason(campus: Site, thresholds: FenceThresholds) -> None:
    answer = decide([west_of_edge(0, 15.0)], campus, thresholds)
    assert (answer.decision, answer.reasons) == (Decision.UNCERTAIN, (FenceReason.NEAR_EDGE,))
    assert answer.probability_inside == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("datum", Datum)
def test_fix_is_judged_in_its_own_datum(datum: Datum, campus: Site, thresholds: FenceThresholds) -> None:
    lon, lat = convert(*MIDDLE, source=Datum.WGS84, target=datum)
    answer = decide([Fix(lon, lat, 15.0, datum)], campus, thresholds)
    assert answer.decision is Decision.INSIDE
    assert answer.distance_m == pytest.approx(-166.4, abs=0.2)


def test_gcj02_fix_taken_for_wgs84_would_be_outside(campus: Site, thresholds: FenceThresholds) -> None:
    lon, lat = convert(*MIDDLE, source=Datum.WGS84, target=Datum.GCJ02)
    assert decide([Fix(lon, lat, 15.0)], campus, thresholds).decision is Decision.OUTSIDE


@given(metres=st.floats(-100, 100), accuracy=st.floats(1, 60))
def test_probability_near_a_straight_edge_is_normal(
    campus: Site, thresholds: FenceThresholds, metres: float, accuracy: float
) -> None:
    answer = decide([west_of_edge(metres, accuracy)], campus, thresholds)
    expected = NormalDist().cdf(-answer.distance_m / (accuracy / RADIUS_95_PER_SIGMA))
    assert answer.probability_inside == pytest.approx(expected, abs=1e-6)
    assert answer.distance_m == pytest.approx(metres, abs=0.1)


@given(metres=st.floats(-250, 5000), accuracy=st.floats(150.001, 5000))
def test_coarse_fix_is_outside_only_if_its_circle_misses_the_site(
    campus: Site, thresholds: FenceThresholds, metres: float, accuracy: float
) -> None:
    answer = decide([west_of_edge(metres, accuracy)], campus, thresholds)
    assert answer.decision is not Decision.INSIDE
    if answer.distance_m <= accuracy:
        assert (answer.decision, answer.reasons) == (Decision.UNCERTAIN, (FenceReason.ACCURACY_COARSE,))
    else:
        assert answer.decision is Decision.OUTSIDE


def test_fix_of_400_metres_accuracy_depends_on_distance(campus: Site, thresholds: FenceThresholds) -> None:
    assert decide([Fix(*MIDDLE, 400.0)], campus, thresholds).decision is Decision.UNCERTAIN
    assert decide([west_of_edge(300, 400.0)], campus, thresholds).decision is Decision.UNCERTAIN
    assert decide([west_of_edge(5000, 400.0)], campus, thresholds).decision is Decision.OUTSIDE


def test_small_site_does_not_put_its_student_outside(
    rectangle: Callable[[float, float], Site], thresholds: FenceThresholds
) -> None:
    kiosk = rectangle(0.00008, 0.00008)  # about 15 m by 18 m
    answer = decide([Fix(113.6, 34.7, 140.0)], kiosk, thresholds)
    assert answer.probability_inside < thresholds.outside_at
    assert (answer.decision, answer.reasons) == (Decision.UNCERTAIN, (FenceReason.SITE_SMALL_FOR_ACCURACY,))


SIZES = st.floats(0.00005, 0.01)
POINTS = st.tuples(st.floats(113.58, 113.62), st.floats(34.68, 34.72))


@given(half_lon=SIZES, half_lat=SIZES, point=POINTS, accuracy=st.floats(1, 2000))
def test_fix_inside_the_site_is_never_outside(
    rectangle: Callable[[float, float], Site], thresholds: FenceThresholds,
    half_lon: float, half_lat: float, point: tuple[float, float], accuracy: float,
) -> None:  # fmt: skip
    answer = decide([Fix(*point, accuracy)], rectangle(half_lon, half_lat), thresholds)
    if answer.distance_m <= 0:
        assert answer.decision is not Decision.OUTSIDE
    if answer.decision is Decision.INSIDE:
        assert answer.probability_inside >= thresholds.inside_at
        assert accuracy <= thresholds.max_accuracy_m
    if answer.decision is Decision.OUTSIDE:
        assert answer.probability_inside <= thresholds.outside_at
    assert bool(answer.reasons) == (answer.decision is Decision.UNCERTAIN)


@given(
    points=st.lists(
        st.tuples(st.floats(113.595, 113.61), st.floats(34.695, 34.708), st.floats(0.5, 500)), min_size=1
    )
)
def test_many_fixes_are_decided_like_single_ones(
    campus: Site, thresholds: FenceThresholds, points: list[tuple[float, float, float]]
) -> None:
    lons, lats, accuracies = np.array(points).T
    many = decide_many(lons, lats, accuracies, campus, thresholds)
    each = [decide([Fix(*point)], campus, thresholds) for point in points]
    assert many.decision.tolist() == [answer.decision for answer in each]
    assert many.reason.tolist() == ["".join(answer.reasons) for answer in each]
    assert many.distance_m == pytest.approx(np.array([answer.distance_m for answer in each]), abs=1e-6)
    assert many.probability_inside == pytest.approx(
        np.array([answer.probability_inside for answer in each]), abs=1e-9
    )


def test_no_positions_give_no_decisions(campus: Site, thresholds: FenceThresholds) -> None:
    assert decide_many([], [], [], campus, thresholds).decision.tolist() == []


@given(
    lon=st.floats(-180, 180), lat=st.floats(-90, 90),
    accuracy=st.floats(0, 2e7, exclude_min=True), datum=st.sampled_from(Datum),
)  # fmt: skip
def test_any_valid_fix_gets_a_decision(
    campus: Site, thresholds: FenceThresholds, lon: float, lat: float, accuracy: float, datum: Datum
) -> None:
    answer = decide([Fix(lon, lat, accuracy, datum)], campus, thresholds)
    assert 0.0 <= answer.probability_inside <= 1.0
    assert math.isfinite(answer.distance_m)


@given(lon=st.floats(), lat=st.floats(), accuracy=st.floats(), age=st.none() | st.floats())
def test_any_values_get_a_decision_or_an_error_with_a_code(
    campus: Site, thresholds: FenceThresholds, lon: float, lat: float, accuracy: float, age: float | None
) -> None:
    try:
        outcome: str = decide([Fix(lon, lat, accuracy, age_s=age)], campus, thresholds).decision
    except GeoError as refusal:
        outcome = refusal.code
    assert outcome in {*Decision, "fix_not_finite", "fix_out_of_range", "fix_accuracy_invalid", "fix_stale"}


def test_fixes_on_different_sides_are_uncertain(campus: Site, thresholds: FenceThresholds) -> None:
    fixes = [Fix(*MIDDLE, 10.0), west_of_edge(150, 10.0)]
    assert decide(fixes, campus, thresholds).decision is Decision.UNCERTAIN


def test_three_coarse_fixes_are_as_coarse_as_one(campus: Site, thresholds: FenceThresholds) -> None:
    answer = decide([Fix(*MIDDLE, 200.0)] * 3, campus, thresholds)
    assert (answer.decision, answer.reasons) == (Decision.UNCERTAIN, (FenceReason.ACCURACY_COARSE,))
    assert answer.judged.accuracy_m == pytest.approx(200.0)


def test_stale_first_fix_is_ignored_with_a_reason(campus: Site, thresholds: FenceThresholds) -> None:
    remembered = replace(west_of_edge(3000, 10.0), age_s=900.0)
    answer = decide([remembered, Fix(*MIDDLE, 10.0, age_s=1.0)], campus, thresholds)
    assert (answer.decision, answer.reasons) == (Decision.INSIDE, (FenceReason.STALE_FIX_LEFT_OUT,))


def test_stale_fixes_alone_are_rejected(campus: Site, thresholds: FenceThresholds) -> None:
    with pytest.raises(FixStale):
        decide([Fix(*MIDDLE, 10.0, age_s=61.0), Fix(*MIDDLE, 10.0, age_s=900.0)], campus, thresholds)


def test_malformed_fix_rejects_the_check_even_if_stale(campus: Site, thresholds: FenceThresholds) -> None:
    with pytest.raises(FixNotFinite):
        decide([Fix(*MIDDLE, 10.0), Fix(math.nan, 34.7, 10.0, age_s=900.0)], campus, thresholds)


def test_invalid_row_rejects_the_whole_batch(campus: Site, thresholds: FenceThresholds) -> None:
    with pytest.raises(FixOutOfRange, match="95"):
        decide_many([113.6, 113.6], [34.7, 95.0], [10.0, 10.0], campus, thresholds)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("inside_at", 1.0), ("inside_at", 0.05), ("inside_at", math.nan),
        ("outside_at", 0.0), ("outside_at", 0.95), ("outside_at", math.nan),
        ("max_accuracy_m", 0.0), ("max_accuracy_m", math.nan), ("max_age_s", -1.0), ("max_age_s", math.nan),
    ],
)  # fmt: skip
def test_contradictory_thresholds_are_rejected(field: str, value: float) -> None:
    figures = {"inside_at": 0.9, "outside_at": 0.05, "max_accuracy_m": 150.0, "max_age_s": 60.0}
    with pytest.raises(ThresholdsInvalid):
        FenceThresholds(**figures | {field: value})


@pytest.mark.parametrize("reason", FenceReason)
def test_every_reason_says_what_to_do_in_both_languages(reason: FenceReason) -> None:
    assert reason.zh
    assert reason.en
    assert reason.zh != reason.en

import math
from dataclasses import replace

import pytest

from geo.datum import Datum, convert
from geo.location_fixes import Fix
from geo.position_signals import (
    EarlierCheck,
    Signal,
    SignalLimits,
    SignalName,
    risk_signals,
    score_position,
)

GOOD = Fix(113.6, 34.7, 12.0, age_s=1.0)
LIMITS = SignalLimits(
    min_fixes=3,
    max_speed_m_s=100.0,
    travel_slack_s=30.0,
    min_jitter_m=0.05,
    min_accuracy_m=1.0,
    satellite_accuracy_m=10.0,
    min_sampling_s=6.0,
    one_instant_s=0.5,
)
METRE_NORTH = 1 / 110_940


def walking_fixes(count: int = 9, step_m: float = 1.3) -> list[Fix]:
    """An honest walk: one fix per second, with changing position and accuracy."""
    return [
        Fix(113.6, 34.7 + i * step_m * METRE_NORTH, 9.0 + 0.7 * i, age_s=float(count - i))
        for i in range(count)
    ]


def signal_names(fixes: list[Fix], earlier: list[EarlierCheck] | None = None) -> list[SignalName]:
    return [signal.name for signal in risk_signals(fixes, earlier=earlier or [], limits=LIMITS)]


def test_honest_walk_raises_no_signal() -> None:
    assert signal_names(walking_fixes(), earlier=[EarlierCheck([replace(GOOD, lon=113.61)], 3600.0)]) == []


def test_implausible_jump_is_a_teleport_with_its_speed() -> None:
    fixes = [*walking_fixes(), Fix(113.6, 34.7 + 5000 * METRE_NORTH, 10.0, age_s=0.0)]
    (signal,) = risk_signals(fixes, earlier=[], limits=LIMITS)
    assert signal.name is SignalName.TELEPORT
    assert 4900 < signal.measured < 5000
    assert signal.limit == 100.0


def test_jump_within_both_circles_is_not_a_teleport() -> None:
    assert (
        signal_names([Fix(113.6, 34.7, 900, age_s=2.0), Fix(113.6, 34.7 + 900 * METRE_NORTH, 10, age_s=1.0)])
        == []
    )


def test_two_places_at_the_same_time_are_a_teleport() -> None:
    (signal,) = risk_signals(
        [Fix(113.6, 34.7, 10, age_s=1.0), Fix(113.7, 34.7, 11, age_s=1.0)], earlier=[], limits=LIMITS
    )
    assert signal == Signal(SignalName.TELEPORT, math.inf, 100.0)


def test_teleport_is_measured_in_one_datum() -> None:
    lon, lat = convert(113.6, 34.7, source=Datum.WGS84, target=Datum.GCJ02)
    assert signal_names([Fix(113.6, 34.7, 10, age_s=2.0), Fix(lon, lat, 11, Datum.GCJ02, age_s=1.0)]) == []


def test_identical_coordinates_and_accuracies_are_frozen_and_constant() -> None:
    fixes = [replace(GOOD, age_s=float(age)) for age in (9, 5, 1)]
    assert signal_names(fixes) == [SignalName.FROZEN, SignalName.CONSTANT_ACCURACY]
    precise = [replace(fix, accuracy_m=10.0) for fix in fixes]
    assert signal_names(precise) == [SignalName.FROZEN_PRECISE, SignalName.CONSTANT_ACCURACY]


def test_less_movement_than_a_real_receiver_is_zero_jitter() -> None:
    fixes = [Fix(113.6, 34.7 + i * 0.01 * METRE_NORTH, 9.0 + i, age_s=9.0 - 4 * i) for i in range(3)]
    assert signal_names(fixes) == [SignalName.ZERO_JITTER]


def test_two_equal_fixes_raise_no_signal() -> None:
    assert signal_names([GOOD, GOOD]) == []


def test_impossible_accuracy_is_detected() -> None:
    assert signal_names([replace(GOOD, accuracy_m=0.5)]) == [SignalName.IMPOSSIBLE_ACCURACY]


def test_coordinates_of_an_earlier_check_are_repeated() -> None:
    assert signal_names(walking_fixes(), earlier=[EarlierCheck(walking_fixes(count=2), 3600.0)]) == [
        SignalName.REPEATED
    ]


def test_no_fix_raises_no_signal() -> None:
    assert signal_names([]) == []


@pytest.mark.parametrize(
    ("span_s", "expected"),
    [
        (0.0, [SignalName.ONE_INSTANT]),
        (0.49, [SignalName.ONE_INSTANT]),
        (0.5, [SignalName.SHORT_SAMPLING]),
        (5.9, [SignalName.SHORT_SAMPLING]),
        (6.0, []),
    ],
)
def test_time_between_first_and_last_fix_is_measured(span_s: float, expected: list[SignalName]) -> None:
    fixes = [
        replace(fix, lat=GOOD.lat + n * METRE_NORTH / 10, age_s=0.25 + span_s * (2 - n) / 2)
        for n, fix in enumerate(walking_fixes(count=3))
    ]
    assert signal_names(fixes) == expected


def check_far_away(seconds_before: float, km: float = 100.0) -> EarlierCheck:
    return EarlierCheck([replace(GOOD, lat=GOOD.lat + km * 1000 * METRE_NORTH)], seconds_before)


def test_travel_faster_than_any_train_between_two_checks_is_impossible() -> None:
    (signal,) = risk_signals(walking_fixes(), earlier=[check_far_away(900.0)], limits=LIMITS)
    assert signal.name is SignalName.IMPOSSIBLE_TRAVEL
    assert 100 < signal.measured < 112
    assert signal_names(walking_fixes(), earlier=[check_far_away(1_000.0)]) == []


def test_any_of_several_earlier_checks_shows_impossible_travel() -> None:
    earlier = [check_far_away(900.0), EarlierCheck([replace(GOOD, lon=113.60001)], 30.0)]
    assert signal_names(walking_fixes(), earlier=earlier) == [SignalName.IMPOSSIBLE_TRAVEL]


def test_score_is_the_sum_of_the_weights_of_the_signals() -> None:
    weights = dict.fromkeys(SignalName, 0.0) | {SignalName.FROZEN: 0.2, SignalName.CONSTANT_ACCURACY: 0.1}
    fixes = [replace(GOOD, age_s=float(age)) for age in (9, 5, 1)]
    risk = score_position(fixes, earlier=[], limits=LIMITS, weights=weights)
    assert risk.score == pytest.approx(0.3)
    assert [signal.name for signal, _ in risk.signals] == [SignalName.FROZEN, SignalName.CONSTANT_ACCURACY]

"""Risk signals of a position: ways in which the fixes of one check differ from those of a hand-held receiver.

Each signal has a weight of the policy. Their sum is the score of the check, which may ask for a second check and never
decides that a student is absent: honest phones show some of the signals too. Without a view of the sky, some Android
phones deliver one fused network fix again and again. Such a repeated fix is coarse (20 to 60 m), so repetition alone
weighs little, and repetition with the accuracy of a satellite fix, which always jitters, weighs much.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from geo.local_projection import LocalPlane
from geo.location_fixes import Fix


class SignalName(StrEnum):
    """The known signals, in the order in which they are reported."""

    TELEPORT = "teleport"
    """Two fixes of one check are too far apart for the time between them."""
    IMPOSSIBLE_TRAVEL = "impossible_travel"
    """An earlier check is too far away for the time between the checks."""
    FROZEN = "frozen"
    """All fixes have the same coordinates."""
    FROZEN_PRECISE = "frozen_precise"
    """All fixes have the same coordinates, with the accuracy of a satellite fix."""
    ZERO_JITTER = "zero_jitter"
    """The fixes differ by less than any receiver varies."""
    CONSTANT_ACCURACY = "constant_accuracy"
    """All fixes have the same accuracy."""
    IMPOSSIBLE_ACCURACY = "impossible_accuracy"
    """The accuracy is better than any phone reaches."""
    ONE_INSTANT = "one_instant"
    """All fixes were taken at the same instant."""
    SHORT_SAMPLING = "short_sampling"
    """The fixes cover less time than the policy demands, but more than one instant."""
    REPEATED = "repeated"
    """A fix has exactly the coordinates of an earlier check."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One finding: the measured value, and the policy's limit."""

    name: SignalName
    measured: float
    limit: float


@dataclass(frozen=True, slots=True)
class SignalLimits:
    """The policy's limits for the signals: metres, metres per second and seconds.

    `min_fixes`: how many fixes are needed before equal values count. `max_speed_m_s`: a higher speed between two fixes,
    after subtracting both radii, is implausible. `travel_slack_s` is added to the time between two checks, for the
    unknown delays of their envelopes. `min_jitter_m`: real receivers vary at least so much. `min_accuracy_m`: no phone
    reaches a smaller radius. `satellite_accuracy_m`: only satellite fixes, which jitter, are at least so accurate.
    `min_sampling_s`: the least time between the first and the last fix. `one_instant_s`: a shorter span is one instant.
    """

    min_fixes: int
    max_speed_m_s: float
    travel_slack_s: float
    min_jitter_m: float
    min_accuracy_m: float
    satellite_accuracy_m: float
    min_sampling_s: float
    one_instant_s: float


@dataclass(frozen=True, slots=True)
class EarlierCheck:
    """The fixes of an earlier check of the same person, which arrived `seconds_before` this one."""

    fixes: Sequence[Fix]
    seconds_before: float


@dataclass(frozen=True, slots=True)
class PositionRisk:
    """The signals of one check with their weights, and their sum."""

    signals: tuple[tuple[Signal, float], ...]
    score: float


def score_position(
    fixes: Sequence[Fix],
    *,
    earlier: Sequence[EarlierCheck],
    limits: SignalLimits,
    weights: Mapping[SignalName, float],
) -> PositionRisk:
    """Score the valid fixes of one check: the sum of the weights of its signals. `weights` names every signal."""
    signals = risk_signals(fixes, earlier=earlier, limits=limits)
    weighed = tuple((signal, weights[signal.name]) for signal in signals)
    return PositionRisk(weighed, math.fsum(weight for _, weight in weighed))


def risk_signals(
    fixes: Sequence[Fix], *, earlier: Sequence[EarlierCheck], limits: SignalLimits
) -> tuple[Signal, ...]:
    """Risk signals of the valid fixes of one check, in a fixed order and each at most once.

    `earlier` holds recent checks of the same student: a real receiver does not report the same 1e-7 degrees twice.
    """
    checks: tuple[Callable[[], Iterable[Signal]], ...] = (
        lambda: _detect_teleport(fixes, limits),
        lambda: _detect_impossible_travel(fixes, earlier, limits),
        lambda: _detect_sameness(fixes, limits),
        lambda: _detect_impossible_accuracy(fixes, limits),
        lambda: _detect_short_sampling(fixes, limits),
        lambda: _detect_repetition(fixes, earlier),
    )
    return tuple(itertools.chain.from_iterable(check() for check in checks))


def _detect_teleport(fixes: Sequence[Fix], limits: SignalLimits) -> Iterable[Signal]:
    """The highest speed between consecutive fixes, if it is implausible."""
    timed = sorted((fix for fix in fixes if fix.age_s is not None), key=lambda fix: -(fix.age_s or 0.0))
    speeds = [
        _min_speed(before, after, (before.age_s or 0.0) - (after.age_s or 0.0))
        for before, after in itertools.pairwise(timed)
    ]
    fastest = max(speeds, default=0.0)
    if fastest > limits.max_speed_m_s:
        yield Signal(SignalName.TELEPORT, fastest, limits.max_speed_m_s)


def _detect_impossible_travel(
    fixes: Sequence[Fix], earlier: Sequence[EarlierCheck], limits: SignalLimits
) -> Iterable[Signal]:
    """The highest speed from an earlier check. The most accurate fix of each check counts."""
    if not fixes:
        return
    here = min(fixes, key=lambda fix: fix.accuracy_m)
    fastest = max(
        (_travel_speed(check, here, limits.travel_slack_s) for check in earlier if check.fixes), default=0.0
    )
    if fastest > limits.max_speed_m_s:
        yield Signal(SignalName.IMPOSSIBLE_TRAVEL, fastest, limits.max_speed_m_s)


def _travel_speed(check: EarlierCheck, here: Fix, slack_s: float) -> float:
    there = min(check.fixes, key=lambda fix: fix.accuracy_m)
    seconds = check.seconds_before + (there.age_s or 0.0) - (here.age_s or 0.0)
    return _min_speed(there, here, max(0.0, seconds) + slack_s)


def _min_speed(before: Fix, after: Fix, seconds: float) -> float:
    """The minimum speed of the move in m/s, if both errors point the right way."""
    here, there = before.in_wgs84(), after.in_wgs84()
    x, y = LocalPlane(here.lon, here.lat).project(there.lon, there.lat)
    apart = max(0.0, math.hypot(float(x[0]), float(y[0])) - here.accuracy_m - there.accuracy_m)
    if apart == 0.0:
        return 0.0
    return apart / seconds if seconds > 0.0 else math.inf


def _detect_sameness(fixes: Sequence[Fix], limits: SignalLimits) -> Iterable[Signal]:
    """Coordinates or accuracies that vary less than those of a real receiver."""
    if len(fixes) < limits.min_fixes:
        return
    if len({(fix.lon, fix.lat, fix.datum) for fix in fixes}) == 1:
        best = min(fix.accuracy_m for fix in fixes)
        if best <= limits.satellite_accuracy_m:
            yield Signal(SignalName.FROZEN_PRECISE, best, limits.satellite_accuracy_m)
        else:
            yield Signal(SignalName.FROZEN, float(len(fixes)), float(limits.min_fixes))
    elif (jitter := _max_spread(fixes)) < limits.min_jitter_m:
        yield Signal(SignalName.ZERO_JITTER, jitter, limits.min_jitter_m)
    if len({fix.accuracy_m for fix in fixes}) == 1:
        yield Signal(SignalName.CONSTANT_ACCURACY, float(len(fixes)), float(limits.min_fixes))


def _max_spread(fixes: Sequence[Fix]) -> float:
    """The greatest distance in metres of any fix from the first."""
    first, *rest = [fix.in_wgs84() for fix in fixes]
    x, y = LocalPlane(first.lon, first.lat).project([fix.lon for fix in rest], [fix.lat for fix in rest])
    return float(np.hypot(x, y).max())


def _detect_impossible_accuracy(fixes: Sequence[Fix], limits: SignalLimits) -> Iterable[Signal]:
    best = min((fix.accuracy_m for fix in fixes), default=math.inf)
    if best < limits.min_accuracy_m:
        yield Signal(SignalName.IMPOSSIBLE_ACCURACY, best, limits.min_accuracy_m)


def _detect_short_sampling(fixes: Sequence[Fix], limits: SignalLimits) -> Iterable[Signal]:
    """The time between the first and the last fix. Fixes without an age, and too few fixes, say nothing."""
    ages = [fix.age_s for fix in fixes if fix.age_s is not None]
    if len(ages) < limits.min_fixes:
        return
    span = max(ages) - min(ages)
    if span < limits.one_instant_s:
        yield Signal(SignalName.ONE_INSTANT, span, limits.one_instant_s)
    elif span < limits.min_sampling_s:
        yield Signal(SignalName.SHORT_SAMPLING, span, limits.min_sampling_s)


def _detect_repetition(fixes: Sequence[Fix], earlier: Sequence[EarlierCheck]) -> Iterable[Signal]:
    known = {(fix.lon, fix.lat, fix.datum) for check in earlier for fix in check.fixes}
    count = sum((fix.lon, fix.lat, fix.datum) in known for fix in fixes)
    if count:
        yield Signal(SignalName.REPEATED, float(count), 0.0)

"""Location fixes: validation, combining the fixes of one check, and risk signals.

A fix is what a phone reported, which need not be true. Malformed and stale fixes are rejected; `geo.fence` judges the
others with their accuracy. The signals at the end of this module feed a risk score that may lead to a review of a check.
They decide nothing.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

import numpy as np

from geo.arrays import FloatArray
from geo.datum import Datum, convert, is_on_globe, looks_swapped, on_globe
from geo.errors import FixAccuracyInvalid, FixMissing, FixNotFinite, FixOutOfRange, FixStale
from geo.local_projection import LocalPlane
from geo.probability import RADIUS_95_PER_SIGMA

_HALF_EQUATOR_M = 20_037_508.35


@dataclass(frozen=True, slots=True)
class Fix:
    """One position as reported by a phone: degrees, metres, seconds.

    `accuracy_m` is the radius of the 95 % circle (W3C Geolocation, `coords.accuracy`). `age_s` is the time from the fix to
    the check. It is None only where age does not matter (such as an audit of stored fixes); intake from a phone must set
    it. A negative age comes from a phone whose clock is ahead.
    """

    lon: float
    lat: float
    accuracy_m: float
    datum: Datum = Datum.WGS84
    age_s: float | None = None

    def in_wgs84(self) -> "Fix":
        """The same fix in WGS-84."""
        lon, lat = convert(self.lon, self.lat, source=self.datum, target=Datum.WGS84)
        return replace(self, lon=lon, lat=lat, datum=Datum.WGS84)


class ReportedFix(Protocol):
    """The attributes that validation uses, independent of the class."""

    @property
    def lon(self) -> float: ...
    @property
    def lat(self) -> float: ...
    @property
    def accuracy_m(self) -> float: ...
    @property
    def age_s(self) -> float | None: ...


def validate(fix: ReportedFix, *, max_age_s: float) -> None:
    """Reject an unusable fix: not finite, not on Earth, without a usable accuracy, or stale.

    Accuracy 0 is rejected although W3C allows it: Android reports 0 for "unknown", no receiver reaches it, and reading it
    as "exact" would make the least trustworthy fix the most convincing one. A circle larger than the Earth carries no
    information either. A fix is stale if its time differs by more than `max_age_s` in either direction.
    """
    _validate_values(fix.lon, fix.lat, fix.accuracy_m)
    if fix.age_s is None:
        return
    if not math.isfinite(fix.age_s):
        raise FixNotFinite(field="age_s")
    if is_stale(fix, max_age_s=max_age_s):
        raise FixStale(age_s=round(fix.age_s, 1))


def is_stale(fix: ReportedFix, *, max_age_s: float) -> bool:
    """Whether the fix was taken too long before or after the check."""
    return fix.age_s is not None and abs(fix.age_s) > max_age_s


def validate_many(lons: FloatArray, lats: FloatArray, accuracies_m: FloatArray) -> None:
    """`validate` for arrays of shape (n,), without age. Raises the error of the first invalid row."""
    sound = on_globe(lons, lats) & (accuracies_m > 0.0) & (accuracies_m <= _HALF_EQUATOR_M)
    if not sound.all():
        row = int(sound.argmin())
        _validate_values(float(lons[row]), float(lats[row]), float(accuracies_m[row]))


def _validate_values(lon: float, lat: float, accuracy_m: float) -> None:
    for field, value in (("lon", lon), ("lat", lat), ("accuracy_m", accuracy_m)):
        if not math.isfinite(value):
            raise FixNotFinite(field=field)
    if not is_on_globe(lon, lat):
        swapped = looks_swapped(lon, lat)
        raise FixOutOfRange(
            lon=lon,
            lat=lat,
            hint_zh="经纬度似乎颠倒了，应为经度在前。" if swapped else "请重新定位。",
            hint_en="Latitude seems to come first; put longitude first." if swapped else "Take a new fix.",
        )
    if not 0.0 < accuracy_m <= _HALF_EQUATOR_M:
        raise FixAccuracyInvalid(accuracy_m=accuracy_m)


def combine(fixes: Sequence[Fix]) -> Fix:
    """Combine several valid WGS-84 fixes of one check into one.

    The fixes of one phone over a few seconds share their satellites, reflections and cell tower, so their errors are
    correlated to an unknown degree, and averaging n of them must not shrink the radius by sqrt(n). We treat them as a
    mixture (one of them is right, more accurate ones are more likely, weight 1/r²) and use its mean and variance:
    sigma² = sum w (sigma_i² + d_i² / 2), with d_i metres from the mean. Thus the radius is never below that of the best
    fix, and grows if fixes disagree. The age is that of the oldest fix.

    Fixes on both sides of the 180° meridian get a mean far from either, and an accordingly large radius.
    """
    if not fixes:
        raise FixMissing
    if len(fixes) == 1:
        return fixes[0]
    best = min(fix.accuracy_m for fix in fixes)
    raw = [(best / fix.accuracy_m) ** 2 for fix in fixes]
    weights = [weight / math.fsum(raw) for weight in raw]
    lon = math.fsum(w * fix.lon for w, fix in zip(weights, fixes, strict=True))
    lat = math.fsum(w * fix.lat for w, fix in zip(weights, fixes, strict=True))
    x, y = LocalPlane(lon, lat).project([fix.lon for fix in fixes], [fix.lat for fix in fixes])
    squared_radius = math.fsum(
        w * (fix.accuracy_m**2 + RADIUS_95_PER_SIGMA**2 * d2 / 2.0)
        for w, fix, d2 in zip(weights, fixes, (x * x + y * y).tolist(), strict=True)
    )
    ages = [fix.age_s for fix in fixes if fix.age_s is not None]
    # max: rounding of the weights must not violate the lower bound
    return Fix(lon, lat, max(best, math.sqrt(squared_radius)), age_s=max(ages, key=abs, default=None))


class SignalName(StrEnum):
    """Ways in which the fixes of one check differ from those of a hand-held receiver."""

    TELEPORT = "teleport"
    FROZEN = "frozen"
    ZERO_JITTER = "zero_jitter"
    CONSTANT_ACCURACY = "constant_accuracy"
    IMPOSSIBLE_ACCURACY = "impossible_accuracy"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class Signal:
    """One finding for the risk score: the measured value, and the policy's limit."""

    name: SignalName
    measured: float
    limit: float


@dataclass(frozen=True, slots=True)
class SignalLimits:
    """The policy's limits for the signals.

    `min_fixes`: how many fixes are needed before equal values count. `max_speed_m_s`: a higher speed between two fixes,
    after subtracting both radii, is a teleport. `min_jitter_m`: real receivers vary at least so much. `min_accuracy_m`: no
    phone reaches a smaller radius.
    """

    min_fixes: int
    max_speed_m_s: float
    min_jitter_m: float
    min_accuracy_m: float


def risk_signals(fixes: Sequence[Fix], *, earlier: Sequence[Fix], limits: SignalLimits) -> tuple[Signal, ...]:
    """Risk signals of the valid fixes of one check, in a fixed order.

    `earlier` are fixes of the same student's earlier checks: a real receiver does not report the same 1e-7 degrees twice.
    Honest phones show some signals too (without a sky view, an indoor phone repeats its network fix).
    """
    checks: tuple[Callable[[], Iterable[Signal]], ...] = (
        lambda: _detect_teleport(fixes, limits),
        lambda: _detect_sameness(fixes, limits),
        lambda: _detect_impossible_accuracy(fixes, limits),
        lambda: _detect_repetition(fixes, earlier),
    )
    return tuple(itertools.chain.from_iterable(check() for check in checks))


def _detect_teleport(fixes: Sequence[Fix], limits: SignalLimits) -> Iterable[Signal]:
    """The highest speed between consecutive fixes, if it is implausible."""
    timed = sorted((fix for fix in fixes if fix.age_s is not None), key=lambda fix: -(fix.age_s or 0.0))
    speeds = [_min_speed(before, after) for before, after in itertools.pairwise(timed)]
    fastest = max(speeds, default=0.0)
    if fastest > limits.max_speed_m_s:
        yield Signal(SignalName.TELEPORT, fastest, limits.max_speed_m_s)


def _min_speed(before: Fix, after: Fix) -> float:
    """The minimum speed of the move in m/s, if both errors point the right way."""
    here, there = before.in_wgs84(), after.in_wgs84()
    x, y = LocalPlane(here.lon, here.lat).project(there.lon, there.lat)
    apart = max(0.0, math.hypot(float(x[0]), float(y[0])) - here.accuracy_m - there.accuracy_m)
    seconds = (before.age_s or 0.0) - (after.age_s or 0.0)
    if apart == 0.0:
        return 0.0
    return apart / seconds if seconds > 0.0 else math.inf


def _detect_sameness(fixes: Sequence[Fix], limits: SignalLimits) -> Iterable[Signal]:
    """Coordinates or accuracies that vary less than those of a real receiver."""
    if len(fixes) < limits.min_fixes:
        return
    if len({(fix.lon, fix.lat, fix.datum) for fix in fixes}) == 1:
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


def _detect_repetition(fixes: Sequence[Fix], earlier: Sequence[Fix]) -> Iterable[Signal]:
    known = {(fix.lon, fix.lat, fix.datum) for fix in earlier}
    count = sum((fix.lon, fix.lat, fix.datum) in known for fix in fixes)
    if count:
        yield Signal(SignalName.REPEATED, float(count), 0.0)

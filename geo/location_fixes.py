"""Location fixes: what one claims, when it can be used, what several of one check say together, and what smells.

A fix is what a phone said, never what is true. Malformed and stale fixes are refused; everything else is judged
by `geo.fence` with its accuracy. The signals at the end of the page are material for a risk score that may ask
for a second look at a check; they never decide one.
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
    """One position as a phone reported it: degrees, metres, seconds.

    `accuracy_m` is the radius of the 95 % circle (W3C Geolocation, `coords.accuracy`). `age_s` is how long
    before the check the fix was taken, None where age is not in question (an audit of stored fixes): whoever
    takes fixes in from a phone must fill it. A negative age comes from a phone whose clock runs ahead.
    """

    lon: float
    lat: float
    accuracy_m: float
    datum: Datum = Datum.WGS84
    age_s: float | None = None

    def in_wgs84(self) -> "Fix":
        """The same fix, measured against WGS-84."""
        lon, lat = convert(self.lon, self.lat, source=self.datum, target=Datum.WGS84)
        return replace(self, lon=lon, lat=lat, datum=Datum.WGS84)


class Reported(Protocol):
    """What validation looks at of a fix, in whatever it is kept."""

    @property
    def lon(self) -> float: ...
    @property
    def lat(self) -> float: ...
    @property
    def accuracy_m(self) -> float: ...
    @property
    def age_s(self) -> float | None: ...


def validate(fix: Reported, *, max_age_s: float) -> None:
    """Refuse a fix that says nothing: not finite, not on Earth, without a usable accuracy, or stale.

    Accuracy 0 is refused although W3C allows it: Android reports 0 for "unknown", no receiver reaches it, and
    reading it as "exact" would make the least trustworthy fix the most convincing one. Nor does a circle wider
    than the Earth say anything. A timestamp that differs
    by more than `max_age_s` in either direction is stale.
    """
    _validate_values(fix.lon, fix.lat, fix.accuracy_m)
    if fix.age_s is None:
        return
    if not math.isfinite(fix.age_s):
        raise FixNotFinite(field="age_s")
    if is_stale(fix, max_age_s=max_age_s):
        raise FixStale(age_s=round(fix.age_s, 1))


def is_stale(fix: Reported, *, max_age_s: float) -> bool:
    """Whether the fix was taken at another time than the check."""
    return fix.age_s is not None and abs(fix.age_s) > max_age_s


def validate_many(lons: FloatArray, lats: FloatArray, accuracies_m: FloatArray) -> None:
    """The same refusals for arrays of shape (n,), raised for the first offending row."""
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
            hint_en="Latitude seems to come first; longitude belongs first." if swapped else "Take it again.",
        )
    if not 0.0 < accuracy_m <= _HALF_EQUATOR_M:
        raise FixAccuracyInvalid(accuracy_m=accuracy_m)


def combine(fixes: Sequence[Fix]) -> Fix:
    """What several valid WGS-84 fixes of one check say together, as one fix.

    The fixes of one phone over a few seconds share their satellites, reflections and cell tower: their errors
    are correlated in an unknown degree, so averaging n of them must not shrink the radius by sqrt(n). We read
    them as a mixture - one of them is right, the more accurate the likelier, weight 1/r² - and keep its mean and
    its variance: sigma² = sum w (sigma_i² + d_i² / 2), d_i metres from the mean. So the radius is never below
    that of the best fix, and grows when fixes disagree. The age is the oldest.

    Fixes on both sides of the 180° meridian get a mean far from either, and a radius that says so.
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
    # max: rounding in the weights must not lose the guarantee
    return Fix(lon, lat, max(best, math.sqrt(squared_radius)), age_s=max(ages, key=abs, default=None))


class SignalName(StrEnum):
    """Ways in which fixes of one check are unlike those of a receiver in a hand."""

    TELEPORT = "teleport"
    FROZEN = "frozen"
    ZERO_JITTER = "zero_jitter"
    CONSTANT_ACCURACY = "constant_accuracy"
    IMPOSSIBLE_ACCURACY = "impossible_accuracy"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class Signal:
    """One observation for the risk score: what was measured, against which limit of the policy."""

    name: SignalName
    measured: float
    limit: float


@dataclass(frozen=True, slots=True)
class SignalLimits:
    """The policy's figures for the signals.

    `min_fixes`: how many fixes sameness needs before it means anything. `max_speed_m_s`: faster between two
    fixes, after allowing for both radii, is a teleport. `min_jitter_m`: real receivers wander at least so far.
    `min_accuracy_m`: no phone reaches a smaller radius.
    """

    min_fixes: int
    max_speed_m_s: float
    min_jitter_m: float
    min_accuracy_m: float


def signals(fixes: Sequence[Fix], *, earlier: Sequence[Fix], limits: SignalLimits) -> tuple[Signal, ...]:
    """Named oddities of one check's valid fixes, in a fixed order; a risk score, never a verdict.

    `earlier` are the same student's fixes of earlier checks: nobody lands on the same 1e-7 degrees twice.
    Honest phones show some of these too (a desk phone without a sky view repeats its network fix).
    """
    watches: tuple[Callable[[], Iterable[Signal]], ...] = (
        lambda: _teleport(fixes, limits),
        lambda: _sameness(fixes, limits),
        lambda: _impossible_accuracy(fixes, limits),
        lambda: _repeated(fixes, earlier),
    )
    return tuple(itertools.chain.from_iterable(watch() for watch in watches))


def _teleport(fixes: Sequence[Fix], limits: SignalLimits) -> Iterable[Signal]:
    """The fastest jump between fixes next to each other in time, if no vehicle makes it."""
    timed = sorted((fix for fix in fixes if fix.age_s is not None), key=lambda fix: -(fix.age_s or 0.0))
    speeds = [_least_speed(before, after) for before, after in itertools.pairwise(timed)]
    fastest = max(speeds, default=0.0)
    if fastest > limits.max_speed_m_s:
        yield Signal(SignalName.TELEPORT, fastest, limits.max_speed_m_s)


def _least_speed(before: Fix, after: Fix) -> float:
    """Metres a second that the move takes even if both errors point the right way."""
    here, there = before.in_wgs84(), after.in_wgs84()
    x, y = LocalPlane(here.lon, here.lat).project(there.lon, there.lat)
    apart = max(0.0, math.hypot(float(x[0]), float(y[0])) - here.accuracy_m - there.accuracy_m)
    seconds = (before.age_s or 0.0) - (after.age_s or 0.0)
    if apart == 0.0:
        return 0.0
    return apart / seconds if seconds > 0.0 else math.inf


def _sameness(fixes: Sequence[Fix], limits: SignalLimits) -> Iterable[Signal]:
    """Coordinates or accuracies that do not move as a receiver's do."""
    if len(fixes) < limits.min_fixes:
        return
    if len({(fix.lon, fix.lat, fix.datum) for fix in fixes}) == 1:
        yield Signal(SignalName.FROZEN, float(len(fixes)), float(limits.min_fixes))
    elif (jitter := _widest(fixes)) < limits.min_jitter_m:
        yield Signal(SignalName.ZERO_JITTER, jitter, limits.min_jitter_m)
    if len({fix.accuracy_m for fix in fixes}) == 1:
        yield Signal(SignalName.CONSTANT_ACCURACY, float(len(fixes)), float(limits.min_fixes))


def _widest(fixes: Sequence[Fix]) -> float:
    """The greatest distance in metres of any fix from the first."""
    first, *rest = [fix.in_wgs84() for fix in fixes]
    x, y = LocalPlane(first.lon, first.lat).project([fix.lon for fix in rest], [fix.lat for fix in rest])
    return float(np.hypot(x, y).max())


def _impossible_accuracy(fixes: Sequence[Fix], limits: SignalLimits) -> Iterable[Signal]:
    best = min((fix.accuracy_m for fix in fixes), default=math.inf)
    if best < limits.min_accuracy_m:
        yield Signal(SignalName.IMPOSSIBLE_ACCURACY, best, limits.min_accuracy_m)


def _repeated(fixes: Sequence[Fix], earlier: Sequence[Fix]) -> Iterable[Signal]:
    known = {(fix.lon, fix.lat, fix.datum) for fix in earlier}
    count = sum((fix.lon, fix.lat, fix.datum) in known for fix in fixes)
    if count:
        yield Signal(SignalName.REPEATED, float(count), 0.0)

"""Location fixes: validation, and combining the fixes of one check.

A fix is what a phone reported, which need not be true. Malformed and stale fixes are rejected; `geo.fence` judges the
others with their accuracy, and `geo.position_signals` looks for signs of a position that was not measured.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

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

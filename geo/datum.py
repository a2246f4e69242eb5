"""WGS-84, GCJ-02 and BD-09: what a coordinate pair is measured against, and how to get from one to another.

Phones measure WGS-84. Maps published in China must show GCJ-02, an obfuscated WGS-84 (高德, 腾讯); 百度 adds a
second obfuscation, BD-09. Neither is published; the formulas here are the reverse-engineered ones that every
open implementation shares, good to about a metre against the official service. Taking one datum for another
moves a student by half a kilometre and more, so a coordinate never travels without its datum.

Both obfuscations are "identity plus a small, smooth shift" without a closed inverse. The shift changes by less
than 2 % of the distance moved, so iterating `guess += target - forward(guess)` gains about two decimal digits
a round; `_ROUNDS` rounds reach the rounding error of doubles (about 1e-13 degrees; 1e-7 degrees is 1 cm).

Outside China the obfuscation is not applied. "Outside" is the bounding box of all open implementations, not
the border: within the box but abroad the formulas still shift. At the rim of the box the forward map jumps, so
within about a kilometre of the rim an inverse may be ambiguous; the rim lies at sea or abroad everywhere.

Every function takes degrees, longitude first, finite and in range: `geo.location_fixes` and `geo.site` see to that.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from geo.arrays import BoolArray, FloatArray, floats
from geo.errors import DatumUnknown

Pair = tuple[FloatArray, FloatArray]

_LON_END, _LAT_END = 180.0, 90.0
_WEST, _SOUTH, _EAST, _NORTH = 72.004, 0.8293, 137.8347, 55.8271
_RIM = 0.05
"""Degrees around the box in which an obfuscated point may belong to a true point inside the box."""

_KRASOVSKY_A = 6378245.0
_KRASOVSKY_E2 = 0.00669342162296594323
_BAIDU_TURN = np.pi * 3000.0 / 180.0
_ROUNDS = 7


class Datum(StrEnum):
    """The reference of a coordinate pair, as browsers, WeChat and map vendors name it."""

    WGS84 = "wgs84"
    GCJ02 = "gcj02"
    BD09 = "bd09"

    @classmethod
    def named(cls, name: str) -> Self:
        """The datum called `name` in any case; `DatumUnknown` otherwise, since guessing costs 500 metres."""
        try:
            return cls(name.strip().lower())
        except ValueError:
            raise DatumUnknown(datum=name, known=", ".join(cls)) from None


def on_globe(lons: FloatArray, lats: FloatArray) -> BoolArray:
    """Which of n points (degrees) exist on Earth; NaN and infinity do not."""
    return (np.abs(lons) <= _LON_END) & (np.abs(lats) <= _LAT_END)


def is_on_globe(lon: float, lat: float) -> bool:
    """The same of one point, without an array: what an intake asks of every fix."""
    return abs(lon) <= _LON_END and abs(lat) <= _LAT_END


def looks_swapped(lon: float, lat: float) -> bool:
    """Whether (lat, lon) would be in China while (lon, lat) is nowhere: the commonest slip with coordinates.

    Only China east of 90° can be told apart: west of it a longitude could be a latitude.
    """
    return _LAT_END < lat <= _EAST and _SOUTH <= lon <= _NORTH


def convert(lon: float, lat: float, *, source: Datum, target: Datum) -> tuple[float, float]:
    """One point from `source` to `target`, in degrees."""
    lons, lats = convert_many(lon, lat, source=source, target=target)
    return float(lons[0]), float(lats[0])


def convert_many(lons: ArrayLike, lats: ArrayLike, *, source: Datum, target: Datum) -> Pair:
    """Arrays of n points from `source` to `target`, in degrees; the results are new arrays of shape (n,)."""
    point = floats(lons).copy(), floats(lats).copy()
    for step in _STEPS[source, target]:
        point = step(*point)
    return point


def _covered(lon: FloatArray, lat: FloatArray, rim: float = 0.0) -> BoolArray:
    in_lon = (lon >= _WEST - rim) & (lon <= _EAST + rim)
    return in_lon & (lat >= _SOUTH - rim) & (lat <= _NORTH + rim)


def _wave(x: FloatArray, *terms: tuple[float, float]) -> FloatArray:
    """Two thirds of the sum of amplitude * sin(frequency * pi * x)."""
    total = np.zeros_like(x)
    for amplitude, frequency in terms:
        total += amplitude * np.sin(frequency * np.pi * x)
    return total * (2.0 / 3.0)


def _gcj02_formula(lon: FloatArray, lat: FloatArray) -> Pair:
    """GCJ-02 of a WGS-84 point: metres east and north, turned into degrees on the Krasovsky ellipsoid."""
    x, y = lon - 105.0, lat - 35.0
    common = _wave(x, (20.0, 6.0), (20.0, 2.0)) + 0.1 * x * y
    root = np.sqrt(np.abs(x))
    north = common - 100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.2 * root
    north += _wave(y, (20.0, 1.0), (40.0, 1 / 3), (160.0, 1 / 12), (320.0, 1 / 30))
    east = common + 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * root
    east += _wave(x, (20.0, 1.0), (40.0, 1 / 3), (150.0, 1 / 12), (300.0, 1 / 30))

    phi = np.radians(lat)
    w2 = 1.0 - _KRASOVSKY_E2 * np.sin(phi) ** 2
    meridian_radius = _KRASOVSKY_A * (1.0 - _KRASOVSKY_E2) / (w2 * np.sqrt(w2))
    parallel_radius = _KRASOVSKY_A / np.sqrt(w2) * np.cos(phi)
    return lon + np.degrees(east / parallel_radius), lat + np.degrees(north / meridian_radius)


def _bd09_formula(lon: FloatArray, lat: FloatArray) -> Pair:
    """BD-09 of a GCJ-02 point: a wobble in polar coordinates about (0, 0), then a constant offset."""
    radius = np.hypot(lon, lat) + 0.00002 * np.sin(lat * _BAIDU_TURN)
    angle = np.arctan2(lat, lon) + 0.000003 * np.cos(lon * _BAIDU_TURN)
    return radius * np.cos(angle) + 0.0065, radius * np.sin(angle) + 0.006


def _obfuscation(
    formula: Callable[[FloatArray, FloatArray], Pair],
) -> Callable[[FloatArray, FloatArray], Pair]:
    """`formula` where it applies, the identity elsewhere."""

    def forward(lon: FloatArray, lat: FloatArray) -> Pair:
        applies = _covered(lon, lat)
        shifted_lon, shifted_lat = formula(*_near_box(lon, lat))
        return np.where(applies, shifted_lon, lon), np.where(applies, shifted_lat, lat)

    return forward


def _inverse(formula: Callable[[FloatArray, FloatArray], Pair]) -> Callable[[FloatArray, FloatArray], Pair]:
    """The point that `formula` sends here, if that point lies where the formula applies; else the same point."""

    def backward(lon: FloatArray, lat: FloatArray) -> Pair:
        goal_lon, goal_lat = _near_box(lon, lat)
        true_lon, true_lat = goal_lon, goal_lat
        for _ in range(_ROUNDS):  # a fixed number: a point's result never depends on its neighbours
            there_lon, there_lat = formula(true_lon, true_lat)
            true_lon = true_lon + (goal_lon - there_lon)
            true_lat = true_lat + (goal_lat - there_lat)
        applies = _covered(lon, lat, _RIM) & _covered(true_lon, true_lat)
        return np.where(applies, true_lon, lon), np.where(applies, true_lat, lat)

    return backward


def _near_box(lon: FloatArray, lat: FloatArray) -> Pair:
    """The point itself near China; elsewhere a harmless one, whose result is thrown away."""
    return np.clip(lon, _WEST - _RIM, _EAST + _RIM), np.clip(lat, _SOUTH - _RIM, _NORTH + _RIM)


_HIDE, _REVEAL = _obfuscation(_gcj02_formula), _inverse(_gcj02_formula)
_BAIDU_HIDE, _BAIDU_REVEAL = _obfuscation(_bd09_formula), _inverse(_bd09_formula)

_STEPS: dict[tuple[Datum, Datum], tuple[Callable[[FloatArray, FloatArray], Pair], ...]] = {
    (Datum.WGS84, Datum.GCJ02): (_HIDE,),
    (Datum.WGS84, Datum.BD09): (_HIDE, _BAIDU_HIDE),
    (Datum.GCJ02, Datum.BD09): (_BAIDU_HIDE,),
    (Datum.GCJ02, Datum.WGS84): (_REVEAL,),
    (Datum.BD09, Datum.GCJ02): (_BAIDU_REVEAL,),
    (Datum.BD09, Datum.WGS84): (_BAIDU_REVEAL, _REVEAL),
    **{(datum, datum): () for datum in Datum},
}

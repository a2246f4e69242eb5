"""The datums WGS-84, GCJ-02 and BD-09, and conversions between them.

Phones measure WGS-84. Maps published in China must use GCJ-02, an obfuscated WGS-84 (高德, 腾讯); 百度 adds a second
obfuscation, BD-09. Neither is published. The formulas here are the reverse-engineered ones that all open implementations
share, accurate to about a metre against the official service. Mistaking one datum for another moves a student by half a
kilometre or more, so a coordinate never travels without its datum.

Both obfuscations are "identity plus a small, smooth shift" without a closed inverse. The shift changes by less than 2 % of
the distance moved, so each iteration of `guess += target - forward(guess)` gains about two decimal digits. `_ITERATIONS`
iterations reach the rounding error of doubles (about 1e-13 degrees; 1e-7 degrees is 1 cm).

Outside China the obfuscation is not applied. "Outside" means outside the bounding box used by all open implementations, not
outside the border: within the box but abroad the formulas still shift. The forward map is discontinuous at the rim of the
box, so within about a kilometre of the rim an inverse may be ambiguous. The rim is everywhere at sea or abroad.

All functions take finite degrees in range, longitude first; `geo.location_fixes` and `geo.site` check that.
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
_MARGIN = 0.05
"""Margin in degrees around the box in which an obfuscated point may belong to a true point inside the box."""

_KRASOVSKY_A = 6378245.0
_KRASOVSKY_E2 = 0.00669342162296594323
_BAIDU_TURN = np.pi * 3000.0 / 180.0
_ITERATIONS = 7


class Datum(StrEnum):
    """A geodetic datum, named as browsers, WeChat and map vendors name it."""

    WGS84 = "wgs84"
    GCJ02 = "gcj02"
    BD09 = "bd09"

    @classmethod
    def named(cls, name: str) -> Self:
        """The datum called `name`, in any case. Raises DatumUnknown, because a wrong guess costs 500 metres."""
        try:
            return cls(name.strip().lower())
        except ValueError:
            raise DatumUnknown(datum=name, known=", ".join(cls)) from None


def on_globe(lons: FloatArray, lats: FloatArray) -> BoolArray:
    """Which of n points (degrees) exist on Earth. NaN and infinity do not."""
    return (np.abs(lons) <= _LON_END) & (np.abs(lats) <= _LAT_END)


def is_on_globe(lon: float, lat: float) -> bool:
    """`on_globe` for a single point, without arrays; check-in intake calls it for every fix."""
    return abs(lon) <= _LON_END and abs(lat) <= _LAT_END


def looks_swapped(lon: float, lat: float) -> bool:
    """Whether (lat, lon) is in China while (lon, lat) is not on Earth: the most common mistake with coordinates.

    Only detectable east of 90°: further west, a longitude could be a latitude.
    """
    return _LAT_END < lat <= _EAST and _SOUTH <= lon <= _NORTH


def convert(lon: float, lat: float, *, source: Datum, target: Datum) -> tuple[float, float]:
    """Convert one point from `source` to `target`, in degrees."""
    lons, lats = convert_many(lon, lat, source=source, target=target)
    return float(lons[0]), float(lats[0])


def convert_many(lons: ArrayLike, lats: ArrayLike, *, source: Datum, target: Datum) -> Pair:
    """Convert n points from `source` to `target`, in degrees. Returns new arrays of shape (n,)."""
    point = floats(lons).copy(), floats(lats).copy()
    for step in _STEPS[source, target]:
        point = step(*point)
    return point


def _in_box(lon: FloatArray, lat: FloatArray, rim: float = 0.0) -> BoolArray:
    in_lon = (lon >= _WEST - rim) & (lon <= _EAST + rim)
    return in_lon & (lat >= _SOUTH - rim) & (lat <= _NORTH + rim)


def _sum_of_sines(x: FloatArray, *terms: tuple[float, float]) -> FloatArray:
    """Two thirds of the sum of amplitude * sin(frequency * pi * x)."""
    total = np.zeros_like(x)
    for amplitude, frequency in terms:
        total += amplitude * np.sin(frequency * np.pi * x)
    return total * (2.0 / 3.0)


def _gcj02_formula(lon: FloatArray, lat: FloatArray) -> Pair:
    """GCJ-02 of a WGS-84 point: metres east and north, turned into degrees on the Krasovsky ellipsoid."""
    x, y = lon - 105.0, lat - 35.0
    common = _sum_of_sines(x, (20.0, 6.0), (20.0, 2.0)) + 0.1 * x * y
    root = np.sqrt(np.abs(x))
    north = common - 100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.2 * root
    north += _sum_of_sines(y, (20.0, 1.0), (40.0, 1 / 3), (160.0, 1 / 12), (320.0, 1 / 30))
    east = common + 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * root
    east += _sum_of_sines(x, (20.0, 1.0), (40.0, 1 / 3), (150.0, 1 / 12), (300.0, 1 / 30))

    phi = np.radians(lat)
    w2 = 1.0 - _KRASOVSKY_E2 * np.sin(phi) ** 2
    meridian_radius = _KRASOVSKY_A * (1.0 - _KRASOVSKY_E2) / (w2 * np.sqrt(w2))
    parallel_radius = _KRASOVSKY_A / np.sqrt(w2) * np.cos(phi)
    return lon + np.degrees(east / parallel_radius), lat + np.degrees(north / meridian_radius)


def _bd09_formula(lon: FloatArray, lat: FloatArray) -> Pair:
    """BD-09 of a GCJ-02 point: a shift in polar coordinates about (0, 0), then a constant offset."""
    radius = np.hypot(lon, lat) + 0.00002 * np.sin(lat * _BAIDU_TURN)
    angle = np.arctan2(lat, lon) + 0.000003 * np.cos(lon * _BAIDU_TURN)
    return radius * np.cos(angle) + 0.0065, radius * np.sin(angle) + 0.006


def _forward_map(
    formula: Callable[[FloatArray, FloatArray], Pair],
) -> Callable[[FloatArray, FloatArray], Pair]:
    """Apply `formula` inside the box and the identity outside."""

    def forward(lon: FloatArray, lat: FloatArray) -> Pair:
        applies = _in_box(lon, lat)
        shifted_lon, shifted_lat = formula(*_clip_to_box(lon, lat))
        return np.where(applies, shifted_lon, lon), np.where(applies, shifted_lat, lat)

    return forward


def _inverse_map(
    formula: Callable[[FloatArray, FloatArray], Pair],
) -> Callable[[FloatArray, FloatArray], Pair]:
    """Invert `formula` for points whose true position is inside the box; the identity elsewhere."""

    def backward(lon: FloatArray, lat: FloatArray) -> Pair:
        goal_lon, goal_lat = _clip_to_box(lon, lat)
        true_lon, true_lat = goal_lon, goal_lat
        for _ in range(
            _ITERATIONS
        ):  # a fixed number, so that a point's result never depends on the other points
            there_lon, there_lat = formula(true_lon, true_lat)
            true_lon = true_lon + (goal_lon - there_lon)
            true_lat = true_lat + (goal_lat - there_lat)
        applies = _in_box(lon, lat, _MARGIN) & _in_box(true_lon, true_lat)
        return np.where(applies, true_lon, lon), np.where(applies, true_lat, lat)

    return backward


def _clip_to_box(lon: FloatArray, lat: FloatArray) -> Pair:
    """Clip points to the box with its margin. Results for clipped points are discarded."""
    return np.clip(lon, _WEST - _MARGIN, _EAST + _MARGIN), np.clip(lat, _SOUTH - _MARGIN, _NORTH + _MARGIN)


_WGS84_TO_GCJ02, _GCJ02_TO_WGS84 = _forward_map(_gcj02_formula), _inverse_map(_gcj02_formula)
_GCJ02_TO_BD09, _BD09_TO_GCJ02 = _forward_map(_bd09_formula), _inverse_map(_bd09_formula)

_STEPS: dict[tuple[Datum, Datum], tuple[Callable[[FloatArray, FloatArray], Pair], ...]] = {
    (Datum.WGS84, Datum.GCJ02): (_WGS84_TO_GCJ02,),
    (Datum.WGS84, Datum.BD09): (_WGS84_TO_GCJ02, _GCJ02_TO_BD09),
    (Datum.GCJ02, Datum.BD09): (_GCJ02_TO_BD09,),
    (Datum.GCJ02, Datum.WGS84): (_GCJ02_TO_WGS84,),
    (Datum.BD09, Datum.GCJ02): (_BD09_TO_GCJ02,),
    (Datum.BD09, Datum.WGS84): (_BD09_TO_GCJ02, _GCJ02_TO_WGS84),
    **{(datum, datum): () for datum in Datum},
}

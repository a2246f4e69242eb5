"""The probability that the true position of a fix is inside a polygon.

W3C Geolocation defines `accuracy` as the radius, in metres, of the 95 % confidence circle. We model the error as an
isotropic normal distribution in the plane. Its distance from the centre is Rayleigh distributed:
P(distance > r) = exp(-r² / 2 sigma²), so sigma = r / sqrt(-2 ln 0.05).

The probability mass inside a polygon is a boundary integral (Green's theorem on the field (1 - exp(-r²/2)) / 2 pi r²
turning about the fix). With lengths in units of sigma, an edge that passes the fix at signed distance h, from t1 to t2
along itself, contributes

    1/2pi * integral from t1 to t2 of  h g(h² + t²) dt,    g(u) = (1 - exp(-u/2)) / u.

g is entire, so there is no singularity even for a fix on the edge, and Gauss-Legendre quadrature converges geometrically.
Beyond |t| = 8 the exponential is dropped; the rest is an angle in closed form.

Error bound: dropping the exponential errs by at most exp(-32) < 2e-14 per edge. Quadrature with 40 nodes over at most
16 sigma errs by at most (64/15) M rho^-80 / (1 - rho^-2), with M <= exp(b²/2) on the Bernstein ellipse of parameter rho and
half-height b = 4 (rho - 1/rho) [Trefethen, Approximation Theory and Approximation Practice, thm 19.3]; at rho = 2.2 that is
below 1e-15. With rounding, the total is below 1e-12 for any real site.
"""

from dataclasses import dataclass

import numpy as np

from geo.arrays import FloatArray

RADIUS_95_PER_SIGMA = float(np.sqrt(-2.0 * np.log(0.05)))
"""2.4477: radius of the 95 % circle of an isotropic normal distribution in the plane, in units of sigma."""

NEGLIGIBLE_BEYOND_SIGMA = 7.5
"""exp(-7.5²/2) < 1e-12: if the edge is farther than this, all mass is on the fix's own side of it."""

_CUT = 8.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)
_SMALLEST_SIGMA_M = 1e-6  # below the rounding of projected coordinates; keeps squares from overflowing
_CELLS = 20_000  # points times edges computed at once: about 6 MB for each temporary array


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """The e oriented edges of a region, with its interior to their left; metres, arrays of shape (e,)."""

    x: FloatArray
    y: FloatArray
    to_x: FloatArray
    to_y: FloatArray


def probability_inside(x: FloatArray, y: FloatArray, sigma: FloatArray, edges: Edges) -> FloatArray:
    """For n fixes at (x, y) metres: the probability, within 1e-12, that the true position is inside `edges`."""
    mass = np.empty(len(x))
    step = max(1, _CELLS // len(edges.x))
    for start in range(0, len(x), step):
        part = slice(start, start + step)
        mass[part] = _batch_probability(x[part], y[part], np.maximum(sigma[part], _SMALLEST_SIGMA_M), edges)
    return np.clip(mass, 0.0, 1.0)


def _batch_probability(x: FloatArray, y: FloatArray, sigma: FloatArray, edges: Edges) -> FloatArray:
    """Compute one batch. Points are on the first axis, edges on the last, quadrature nodes before both."""
    dx, dy = edges.to_x - edges.x, edges.to_y - edges.y
    length = np.hypot(dx, dy)
    ux, uy = dx / length, dy / length
    ax, ay = edges.x - x[:, None], edges.y - y[:, None]
    scale = sigma[:, None]
    h = (ax * uy - ay * ux) / scale
    start = (ax * ux + ay * uy) / scale
    end = start + length / scale

    low, high = np.clip(start, -_CUT, _CUT), np.clip(end, -_CUT, _CUT)
    middle, half = (low + high) / 2.0, (high - low) / 2.0
    t = middle + half * _NODES[:, None, None]
    u = np.maximum(h * h + t * t, np.finfo(np.float64).tiny)
    near = h * half * (_WEIGHTS[:, None, None] * -np.expm1(-u / 2.0) / u).sum(axis=0)
    far = _swept_angle(h, start, low) + _swept_angle(h, high, end)
    total: FloatArray = (near + far).sum(axis=-1) / (2.0 * np.pi)
    return total


def _swept_angle(h: FloatArray, start: FloatArray, end: FloatArray) -> FloatArray:
    """The angle from `start` to `end` along a line at distance h. Either both or neither lie beyond the cut."""
    return np.arctan2(h * (end - start), h * h + start * end)

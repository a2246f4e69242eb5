"""Dense registration of two small pictures of a face, and what of one the other does not explain.

Lucas and Kanade's local translations (1981), from half the size to the full size, with local means removed so that light
does not count. A warp of one picture registers with it almost exactly; two moments of a living face do not.
"""

import numpy as np
import numpy.typing as npt

Chip = npt.NDArray[np.float32]
"""A grey face, square, its side even."""
Mask = npt.NDArray[np.bool_]

_HALF_RADIUS, _FULL_RADIUS = 2, 3
"""Windows of the local translations, in pixels on each side."""
_STEPS = 2
_MAX_STEP_PX = 2.0
_DAMPING = 0.02
"""Share of the mean gradient energy that keeps flat windows still."""
_SMOOTHING = 2
_FINE, _COARSE = 1, 4
"""The compared detail: coarser than the fine radius (noise, compression), finer than the coarse one (light)."""


def warp_onto(source: Chip, target: Chip) -> Chip:
    """The source moved pixel by pixel to where it resembles the target most."""
    half = _move(_halve(source), _halve(target), None, _HALF_RADIUS)
    doubled = 2 * half.repeat(2, axis=1).repeat(2, axis=2)
    return _sample(source, _move(source, target, doubled, _FULL_RADIUS))


def unexplained_share(warped: Chip, target: Chip, mask: Mask) -> float:
    """The energy of the target's detail inside the mask that the warped picture leaves, 0 to 1; brightness is fitted."""
    both = np.stack([warped, target])
    known, shown = (_box(both, _FINE) - _box(both, _COARSE))[:, mask]
    known, shown = known - known.mean(), shown - shown.mean()
    total, energy = float(shown @ shown), float(known @ known)
    if total <= 0 or energy <= 0:
        return 1.0
    return 1 - float(known @ shown) ** 2 / (total * energy)


def _move(source: Chip, target: Chip, shifts: Chip | None, radius: int) -> Chip:
    """Shifts in x and y, shape (2, side, side), after some steps from the given ones."""
    side = len(target)
    if shifts is None:
        shifts = np.zeros((2, side, side), np.float32)
    shown = target - _box(target, radius)
    for _ in range(_STEPS):
        moved = _sample(source, shifts)
        moved -= _box(moved, radius)
        rows, columns = np.gradient((moved + shown) / 2)
        missing = shown - moved
        xx, xy, yy, x, y = _box(
            np.stack([columns * columns, columns * rows, rows * rows, columns * missing, rows * missing]),
            radius,
        )
        damping = _DAMPING * float(xx.mean() + yy.mean()) + 1e-6
        xx, yy = xx + damping, yy + damping
        step = np.stack([yy * x - xy * y, xx * y - xy * x]) / (xx * yy - xy * xy)
        shifts = shifts + _box(np.clip(step, -_MAX_STEP_PX, _MAX_STEP_PX), _SMOOTHING)
    return shifts


def _halve(chip: Chip) -> Chip:
    half = len(chip) // 2
    halved: Chip = chip.reshape(half, 2, half, 2).mean(axis=(1, 3))
    return halved


def _box(values: Chip, radius: int) -> Chip:
    """Means over windows of 2 radius + 1 along the last two axes; the edge is repeated."""
    width, side = 2 * radius + 1, values.shape[-1]
    padded = np.pad(values, [(0, 0)] * (values.ndim - 2) + [(radius, radius)] * 2, mode="edge")
    rows = padded[..., :side, :].copy()
    for shift in range(1, width):
        rows += padded[..., shift : shift + side, :]
    means: Chip = rows[..., :side].copy()
    for shift in range(1, width):
        means += rows[..., shift : shift + side]
    means /= width**2
    return means


def _sample(chip: Chip, shifts: Chip) -> Chip:
    """Bilinear samples at each pixel's own position plus its shift."""
    side = len(chip)
    places = np.arange(side, dtype=np.float32)
    x = np.clip(places + shifts[0], 0, side - 1.001)
    y = np.clip(places[:, None] + shifts[1], 0, side - 1.001)
    left, top = x.astype(np.intp), y.astype(np.intp)
    across, down = x - left, y - top
    at, pixels = top * side + left, chip.ravel()
    upper = pixels[at] * (1 - across) + pixels[at + 1] * across
    lower = pixels[at + side] * (1 - across) + pixels[at + side + 1] * across
    sampled: Chip = upper * (1 - down) + lower * down
    return sampled

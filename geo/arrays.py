"""The array types of this library."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def floats(values: ArrayLike) -> FloatArray:
    """Convert to contiguous 1-D doubles, so that one point and a million are computed by the same numpy code."""
    return np.ascontiguousarray(np.atleast_1d(np.asarray(values, dtype=np.float64)))

"""The one array type of this library."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def floats(values: ArrayLike) -> FloatArray:
    """Contiguous 1-D doubles, so that one point and a million take the same path through numpy."""
    return np.ascontiguousarray(np.atleast_1d(np.asarray(values, dtype=np.float64)))

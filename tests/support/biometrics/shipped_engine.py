"""The shipped engine and its contour model, loaded once a process: an engine takes a second to load."""

from functools import cache
from pathlib import Path

from biometrics.engines.dlib_onnx import DlibOnnxEngine, installed_models
from biometrics.liveness.landmarks import Dlib68Contours

_contours = cache(Dlib68Contours)
_with = cache(DlibOnnxEngine)


def contours(models: Path | None = None) -> Dlib68Contours:
    return _contours(models or installed_models())


def engine(contours: Dlib68Contours | None = None) -> DlibOnnxEngine:
    """The engine as it is by default, or with a contour model."""
    return _with() if contours is None else _with(contours=contours)

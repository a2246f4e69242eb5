"""The shipped engine and its landmark model, loaded once per process because loading takes a second."""

from functools import cache
from pathlib import Path

from biometrics.engines.dlib_onnx import DlibOnnxEngine, installed_models
from biometrics.liveness.landmarks import Dlib68Contours

_load_model = cache(Dlib68Contours)
_load_engine = cache(DlibOnnxEngine)


def contours(models: Path | None = None) -> Dlib68Contours:
    return _load_model(models or installed_models())


def engine(landmark_model: Dlib68Contours | None = None) -> DlibOnnxEngine:
    """The engine without a landmark model, or with the given one."""
    return _load_engine() if landmark_model is None else _load_engine(landmark_model=landmark_model)

"""The engines and the landmark model, loaded once per process because loading takes a second."""

from functools import cache
from pathlib import Path

from biometrics.engines.dlib_onnx import DlibOnnxEngine, installed_models
from biometrics.engines.sface import SFaceEngine
from biometrics.liveness.landmark_model import Dlib68LandmarkModel

_load_model = cache(Dlib68LandmarkModel)
_load_engine = cache(SFaceEngine)
_load_dlib_engine = cache(DlibOnnxEngine)


def landmark_model(models: Path | None = None) -> Dlib68LandmarkModel:
    return _load_model(models or installed_models())


def engine(landmark_model: Dlib68LandmarkModel | None = None) -> SFaceEngine:
    """The shipped engine without a landmark model, or with the given one."""
    return _load_engine(landmark_model)


def dlib_engine(landmark_model: Dlib68LandmarkModel | None = None) -> DlibOnnxEngine:
    """dlib's engine without a landmark model, or with the given one."""
    return _load_dlib_engine() if landmark_model is None else _load_dlib_engine(landmark_model=landmark_model)

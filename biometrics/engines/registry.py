"""Loads the face engines that a deployment has enabled.

Worker processes import this module, so it imports nothing but the face library, and the engines only when called.
"""

from pathlib import Path

from biometrics.engines.base import EngineSet, FaceEngine


def load_face_engines(
    *, test_engine: bool, own: Path | None = None, landmark_model: str = "dlib-68"
) -> EngineSet:
    """Load the enabled engines.

    An operator's `own` engine makes new templates; the shipped one still judges the templates that it made, and dlib's
    those of before.
    `landmark_model` names the landmark model for actions, or is "none".
    """
    from biometrics.engines.dlib_onnx import DlibOnnxEngine, installed_models  # noqa: PLC0415
    from biometrics.engines.onnx import OnnxEngine  # noqa: PLC0415
    from biometrics.engines.sface import SFaceEngine  # noqa: PLC0415
    from biometrics.engines.test_pattern import PatternEngine  # noqa: PLC0415
    from biometrics.liveness.landmark_model import Dlib68LandmarkModel  # noqa: PLC0415 - loads the models

    engines: list[FaceEngine] = [PatternEngine()] if test_engine else []
    model = Dlib68LandmarkModel(installed_models()) if landmark_model == "dlib-68" else None
    shipped, dlib = SFaceEngine(model), DlibOnnxEngine(landmark_model=model)
    if own is not None:
        engines.append(OnnxEngine(own, shipped, dlib))
    engines += [shipped, dlib]
    return EngineSet(engines)

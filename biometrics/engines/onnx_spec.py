"""The YAML description of an engine made of an operator's own ONNX models.

Everything that determines a descriptor is in this file and part of the engine's version, so a changed number cannot be
mistaken for the engine that made the existing templates. docs/biometrics.md explains the keys.
"""

import hashlib
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from biometrics.errors import BiometricsError

RESERVED_IDS = frozenset({"sface", "dlib-onnx", "face-recognition", "test-pattern"})
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_SPEC_BYTES = 64 * 1024
_KINDS = frozenset({"yunet", "dlib-hog", "boxes", "scrfd", "points", "box"})

Side = Annotated[int, Field(ge=16, le=2048)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Sha256 = Annotated[str, Field(pattern=_SHA256.pattern, min_length=64, max_length=64)]
PerChannel = tuple[float, float, float]
PointName = Literal["left_eye", "right_eye", "nose", "mouth_left", "mouth_right"]


class EngineSpecInvalid(BiometricsError):
    """The description, or a model that it names, is not usable. The error names file, field and value."""

    code = "face_engine_spec_invalid"
    status = 500
    zh = "人脸引擎描述文件 {file} 的字段 {field} 无效（值 {value}）：{reason_zh}。请改正后重新启动。"
    en = "The face engine description {file} is invalid at {field} (value {value}): {reason_en}. Correct it and start again."


class _SpecModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ImageInput(_SpecModel):
    """The preprocessing of a model: `(pixel - mean) * scale`, per channel in the model's own order."""

    name: Name
    width: Side
    height: Side
    channels: Literal["RGB", "BGR"]
    layout: Literal["NCHW", "NHWC"]
    mean: PerChannel
    scale: PerChannel

    def blob(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Convert RGB pixels of shape (n, height, width, 3) to the model's input."""
        ordered = pixels if self.channels == "RGB" else pixels[..., ::-1]
        values = (ordered.astype(np.float32) - np.array(self.mean, np.float32)) * np.array(
            self.scale, np.float32
        )
        return np.ascontiguousarray(values if self.layout == "NHWC" else values.transpose(0, 3, 1, 2))


class ModelPart(_SpecModel):
    """One ONNX file, named relative to the description, and its input."""

    file: Name
    sha256: Sha256
    input: ImageInput


class ShippedDetector(_SpecModel):
    """The shipped engine's detector with its five points."""

    kind: Literal["yunet"] = "yunet"


class DlibHog(_SpecModel):
    """dlib's detector and 5-point landmarks, for descriptions written for them. It finds no corners of the mouth."""

    kind: Literal["dlib-hog"]


class _DetectorPart(ModelPart):
    score_threshold: float = Field(gt=0, lt=1)
    nms_iou: float = Field(gt=0, le=1)


class BoxOutputs(_SpecModel):
    """Output names: boxes (n, 4) as left, top, right, bottom; scores (n) or (n, classes), face last; points (n, 10)."""

    boxes: Name
    scores: Name
    landmarks: Name | None = None

    def names(self) -> tuple[str, ...]:
        return tuple(name for name in (self.boxes, self.scores, self.landmarks) if name is not None)


class BoxDetector(_DetectorPart):
    """A detector that outputs plain boxes."""

    kind: Literal["boxes"]
    outputs: BoxOutputs
    units: Literal["pixels", "fractions"]
    """Of the input picture."""


class ScrfdLevel(_SpecModel):
    """One stride of SCRFD: scores (n, 1), distances (n, 4) to the sides, optionally (n, 10) to the points, in strides."""

    stride: int = Field(ge=2, le=128)
    boxes: Name
    scores: Name
    landmarks: Name | None = None

    def names(self) -> tuple[str, ...]:
        return tuple(name for name in (self.boxes, self.scores, self.landmarks) if name is not None)


class ScrfdDetector(_DetectorPart):
    """A detector that outputs distances from grid cells, such as SCRFD (Guo et al., 2021)."""

    kind: Literal["scrfd"]
    levels: tuple[ScrfdLevel, ...] = Field(min_length=1, max_length=8)
    anchors: int = Field(default=2, ge=1, le=8)


class PointAlignment(_SpecModel):
    """The positions of named points in the chip, in its pixels. Fitted by rotation, scaling and translation only."""

    kind: Literal["points"]
    points: dict[PointName, tuple[float, float]] = Field(min_length=2)

    @model_validator(mode="after")
    def _require_distinct_points(self) -> Self:
        if len(set(self.points.values())) < len(self.points):
            raise ValueError("two points have the same position")
        return self


class BoxAlignment(_SpecModel):
    """The box with `padding` times its sides added on every side, without distortion."""

    kind: Literal["box"]
    padding: float = Field(ge=0, le=2)


class Embedder(ModelPart):
    """A network that computes a descriptor from a chip."""

    output: Name
    dimension: int = Field(ge=8, le=4096)
    alignment: Annotated[PointAlignment | BoxAlignment, Field(discriminator="kind")]
    mirror: bool = True
    """Average the descriptors of the chip and its mirror image."""
    unit_length: bool = True
    """Scale to length 1, for networks trained with a cosine loss. Distances are then between 0 and 2."""


class EngineSpec(_SpecModel):
    """A complete engine. Omitted parts come from the shipped engine."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]{1,39}$")
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.]{0,19}$")
    licence: str = Field(min_length=1, max_length=500)
    detector: Annotated[
        ShippedDetector | DlibHog | BoxDetector | ScrfdDetector, Field(discriminator="kind")
    ] = ShippedDetector()
    embedder: Embedder | None = None

    @model_validator(mode="after")
    def _require_own_part(self) -> Self:
        if self.id in RESERVED_IDS:
            raise ValueError(f"the id {self.id} is reserved for an engine of the product")
        if self.embedder is None and isinstance(self.detector, ShippedDetector | DlibHog):
            raise ValueError("a detector or an embedder is required")
        return self

    def digest(self, shipped: str) -> str:
        """Hex SHA-256 over everything that determines a descriptor: model hashes, numbers, and the `shipped` engine used."""
        numbers = self.model_dump_json(exclude={"id", "version", "licence"})
        return hashlib.sha256(f"{shipped}\n{numbers}".encode()).hexdigest()


def read_spec(file: Path) -> EngineSpec:
    """Read a description. Raises EngineSpecInvalid."""
    try:
        text = file.read_bytes()
        if len(text) > _MAX_SPEC_BYTES:
            raise spec_error(file, "-", f"{len(text)} bytes", "文件过大", "the file is too long")
        return EngineSpec.model_validate(yaml.safe_load(text))
    except OSError as error:
        raise spec_error(file, "-", "-", "文件无法读取", f"it cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise spec_error(file, "-", "-", "不是有效的 YAML", f"it is not valid YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(_path_in_file(first["loc"])) or "-"
        value = first["input"] if isinstance(first["input"], str | int | float | bool | list) else "…"
        raise spec_error(file, field, value, first["msg"], first["msg"]) from error


def _path_in_file(place: tuple[str | int, ...]) -> list[str]:
    """The path as written in the file: pydantic inserts the union tag after the name of a part."""
    before = ("", *place)
    return [
        str(part)
        for part, parent in zip(place, before, strict=False)
        if not (parent in {"detector", "alignment"} and part in _KINDS)
    ]


def read_model(file: Path, field: str, part: ModelPart) -> bytes:
    """Read a model and check its hash against the description. Raises EngineSpecInvalid."""
    try:
        data = (file.parent / part.file).read_bytes()
    except OSError as error:
        raise spec_error(
            file, f"{field}.file", part.file, "模型文件无法读取", f"it cannot be read: {error.strerror}"
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != part.sha256:
        raise spec_error(
            file, f"{field}.sha256", part.sha256, f"文件的摘要是 {digest}", f"the file's hash is {digest}"
        )
    return data


def spec_error(file: Path, field: str, value: Any, reason_zh: str, reason_en: str) -> EngineSpecInvalid:
    """The error for one field of a description."""
    return EngineSpecInvalid(
        file=file.name, field=field, value=value, reason_zh=reason_zh, reason_en=reason_en
    )

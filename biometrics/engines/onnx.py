"""An engine of the operator's own ONNX models, described in a YAML file (`biometrics.engines.onnx_spec`).

Parts that the description omits come from the shipped engine: its detector with five points, or its network. The
version ends in a hash of the description and the models, so that descriptors of different models are never compared.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from biometrics.engines.alignment import fit_similarity, named_points, sample_chip
from biometrics.engines.base import (
    Contours,
    Descriptor,
    DetectedFace,
    EmbeddingUse,
    EngineInfo,
    EngineKey,
    Landmarks,
    Metric,
)
from biometrics.engines.dlib_onnx import DlibOnnxEngine
from biometrics.engines.onnx_detector import Detection, Floats, Outputs, detect_faces
from biometrics.engines.onnx_spec import (
    BoxDetector,
    DlibHog,
    Embedder,
    EngineSpec,
    ModelPart,
    PointAlignment,
    ScrfdDetector,
    ShippedDetector,
    read_model,
    read_spec,
    spec_error,
)
from biometrics.engines.sface import SFaceEngine
from biometrics.errors import EngineUnavailable
from biometrics.pictures.decoding import Picture, Pixels, picture_from_pixels

_DIGEST_LENGTH = 12
_DLIB_POINTS = frozenset({"left_eye", "right_eye", "nose"})


class OnnxEngine:
    """The detector and embedder of a description, completed by the shipped engine. For use by one thread at a time.

    dlib's 5-point model locates landmarks for a detector that has none.
    """

    def __init__(self, file: Path, shipped: SFaceEngine, dlib: DlibOnnxEngine) -> None:
        """Load and test everything that `file` describes. Raises EngineSpecInvalid with file, field and value."""
        self._spec = spec = read_spec(file)
        self._shipped, self._dlib = shipped, dlib
        own = None if isinstance(spec.detector, ShippedDetector | DlibHog) else spec.detector
        self._detector = None if own is None else _Detector(file, own)
        self._embedder = None if spec.embedder is None else _Embedder(file, spec.embedder)
        self._has_points = self._detector is not None and self._detector.has_points
        has_all_points = self._has_points or isinstance(spec.detector, ShippedDetector)
        _check_alignment_points(file, spec, has_points=has_all_points)
        self._info = _engine_info(spec, has_points=self._has_points, shipped=shipped.info(), dlib=dlib.info())

    def info(self) -> EngineInfo:
        return self._info

    def supports(self, picture: Picture) -> bool:  # noqa: ARG002 - part of the protocol; any picture may be a photograph
        return True

    def detect(self, picture: Picture, *, thorough: bool = False) -> list[DetectedFace]:
        """Detect all faces, widest first. The operator's own detector has a fixed input size, so `thorough` is ignored."""
        if self._detector is None:
            return self._fallback().detect(picture, thorough=thorough)
        return [self._to_face(picture, each) for each in self._detector.detect(picture)]

    def track(self, pictures: Sequence[Picture]) -> list[list[DetectedFace]]:
        if self._detector is None:
            return self._fallback().track(pictures)
        return [self.detect(picture) for picture in pictures]

    def _fallback(self) -> SFaceEngine | DlibOnnxEngine:
        """The engine whose detector is used."""
        return self._dlib if isinstance(self._spec.detector, DlibHog) else self._shipped

    def _to_face(self, picture: Picture, detection: Detection) -> DetectedFace:
        if not self._has_points:
            return self._dlib.locate_landmarks(picture, detection.box, detection.score)
        left, right, nose, *mouth = detection.points
        marks = Landmarks((left, left), (right, right), nose)
        return DetectedFace(detection.box, marks, detection.score, (mouth[0], mouth[1]))

    def find_contours(self, picture: Picture, face: DetectedFace) -> Contours | None:
        return self._shipped.find_contours(picture, face)

    def embed(
        self,
        faces: Sequence[tuple[Picture, DetectedFace]],
        *,
        use: EmbeddingUse = EmbeddingUse.TEMPLATE,
    ) -> list[Descriptor]:
        if not faces:
            return []
        if self._embedder is None:
            vectors = [descriptor.vector for descriptor in self._shipped.embed(faces, use=use)]
        else:
            vectors = list(self._embedder.embed(faces))
        if not all(np.isfinite(vector).all() for vector in vectors):
            raise EngineUnavailable(engine=str(self._info.key), reason="its descriptors are not finite")
        return [Descriptor(self._info.key, self._info.metric, vector) for vector in vectors]


class _Model:
    """One inference session whose inputs and outputs match the description."""

    def __init__(self, file: Path, field: str, part: ModelPart, outputs: dict[str, str]) -> None:
        """`outputs` maps fields of the description to output names."""
        self.file, self.field, self._input = file, field, part.input
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        data = read_model(file, field, part)
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no common base class
            raise self.error(
                "file", part.file, "不是可用的 ONNX 模型", f"not a usable ONNX model: {error}"
            ) from error
        self._check_name("input.name", part.input.name, [each.name for each in self._session.get_inputs()])
        for output, name in outputs.items():
            self._check_name(output, name, [each.name for each in self._session.get_outputs()])
        self._outputs = list(dict.fromkeys(outputs.values()))
        self._single = self._session.get_inputs()[0].shape[:1] == [1]

    def run(self, blob: Floats) -> Outputs:
        """Compute all named outputs for a batch. A model with batch size 1 gets the pictures one by one."""
        parts = np.split(blob, len(blob)) if self._single else [blob]
        answers = [self._session.run(self._outputs, {self._input.name: part}) for part in parts]
        return {
            name: np.concatenate(values) if len(values) > 1 else values[0]
            for name, *values in zip(self._outputs, *answers, strict=True)
        }

    def error(self, field: str, value: object, zh: str, en: str) -> Exception:
        return spec_error(self.file, f"{self.field}.{field}", value, zh, en)

    def _check_name(self, field: str, name: str, there: list[str]) -> None:
        if name not in there:
            names = ", ".join(there)
            raise self.error(field, name, f"模型中只有 {names}", f"the model has {names}")


class _Detector:
    def __init__(self, file: Path, spec: BoxDetector | ScrfdDetector) -> None:
        self._spec = spec
        if isinstance(spec, BoxDetector):
            outputs = _output_fields("outputs", spec.outputs.model_dump(exclude_none=True))
            self.has_points = spec.outputs.landmarks is not None
        else:
            outputs = {}
            for number, level in enumerate(spec.levels):
                names = level.model_dump(exclude_none=True, exclude={"stride"})
                outputs |= _output_fields(f"levels.{number}", names)
            self.has_points = all(level.landmarks is not None for level in spec.levels)
        self._model = _Model(file, "detector", spec, outputs)
        try:
            self.detect(picture_from_pixels(np.zeros((spec.input.height, spec.input.width, 3), np.uint8)))
        except Exception as error:  # onnxruntime or numpy may raise anything for a wrong description
            raise self._model.error(
                "outputs", "…", f"试运行失败：{error}", f"a test run failed: {error}"
            ) from error

    def detect(self, picture: Picture) -> list[Detection]:
        return detect_faces(picture, self._spec, self._model.run)


class _Embedder:
    def __init__(self, file: Path, spec: Embedder) -> None:
        self._spec = spec
        self._model = _Model(file, "embedder", spec, {"output": spec.output})
        try:
            shape = self._compute(np.zeros((2, spec.input.height, spec.input.width, 3), np.uint8)).shape
        except Exception as error:  # onnxruntime or numpy may raise anything for a wrong description
            raise self._model.error(
                "input", "…", f"试运行失败：{error}", f"a test run failed: {error}"
            ) from error
        if shape != (2, spec.dimension):
            actual = " × ".join(map(str, shape[1:]))
            raise self._model.error(
                "dimension", spec.dimension, f"模型输出 {actual}", f"the model outputs {actual}"
            )

    def embed(self, faces: Sequence[tuple[Picture, DetectedFace]]) -> Floats:
        """Compute descriptors, shape (n, dimension)."""
        chips = np.stack([self._cut_chip(picture, face) for picture, face in faces])
        vectors = self._compute(chips)
        if self._spec.mirror:
            vectors = np.mean([vectors, self._compute(chips[:, :, ::-1])], axis=0, dtype=np.float32)
        if not self._spec.unit_length:
            return vectors
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: Floats = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
        return unit

    def _compute(self, chips: npt.NDArray[np.uint8]) -> Floats:
        computed: Floats = self._model.run(self._spec.input.blob(chips))[self._spec.output]
        return computed.astype(np.float32)

    def _cut_chip(self, picture: Picture, face: DetectedFace) -> Pixels:
        decoded = picture.rgb_for_face(face.box.width)
        size = (self._spec.input.width, self._spec.input.height)
        step, origin = self._chip_position(face, size)
        return sample_chip(decoded.pixels, step / decoded.factor, origin / decoded.factor, size)

    def _chip_position(self, face: DetectedFace, size: tuple[int, int]) -> tuple[complex, complex]:
        """The chip's pixel step in the original, rotated like the face, and the position of its upper left corner."""
        alignment, box = self._spec.alignment, face.box
        if isinstance(alignment, PointAlignment):
            points = named_points(face)
            chip = np.array([complex(*place) for place in alignment.points.values()])
            return fit_similarity(chip, np.array([points[name] for name in alignment.points]))
        share = 1 + 2 * alignment.padding
        step = complex(max(box.width * share / size[0], box.height * share / size[1]))
        centre = complex(box.left + box.right, box.top + box.bottom) / 2
        return step, centre - step * complex(*size) / 2


def _output_fields(field: str, names: dict[str, str]) -> dict[str, str]:
    return {f"{field}.{key}": name for key, name in names.items()}


def _check_alignment_points(file: Path, spec: EngineSpec, *, has_points: bool) -> None:
    """Reject an alignment point that the detector does not provide, instead of failing at the first face."""
    if has_points or spec.embedder is None or not isinstance(spec.embedder.alignment, PointAlignment):
        return
    for name in spec.embedder.alignment.points:
        if name not in _DLIB_POINTS:
            raise spec_error(
                file,
                "embedder.alignment.points",
                name,
                "检测器不提供这个点",
                "the detector does not provide this point",
            )


def _engine_info(spec: EngineSpec, *, has_points: bool, shipped: EngineInfo, dlib: EngineInfo) -> EngineInfo:
    with_shipped = isinstance(spec.detector, ShippedDetector) or spec.embedder is None
    with_dlib = not isinstance(spec.detector, ShippedDetector) and not has_points
    used = [info for info, is_used in ((shipped, with_shipped), (dlib, with_dlib)) if is_used]
    digest = spec.digest(" ".join(str(info.key) for info in used))
    return EngineInfo(
        key=EngineKey(spec.id, f"{spec.version}-{digest[:_DIGEST_LENGTH]}"),
        metric=Metric.L2,
        dimension=shipped.dimension if spec.embedder is None else spec.embedder.dimension,
        licence="; ".join([spec.licence, *(info.licence for info in used)]),
        weights_sha256=digest,
        landmark_model=shipped.landmark_model,
    )

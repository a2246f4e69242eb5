"""The engines that docs/engines describes for operators: descriptions, policy page, and the scripts that make the models."""

import importlib.util
import io
import pickle
import shutil
import sys
import zipfile
from collections import OrderedDict
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import yaml
from onnx import ModelProto, TensorProto, helper

from backend.identity.face.policy import enrolment_rules, scoring_method
from backend.policy import load_policies
from backend.roll_call.policy import face_rules, reuse_rules
from biometrics.engines import sface
from biometrics.engines.base import EngineKey
from biometrics.engines.onnx_spec import Embedder, EngineSpec, PointAlignment, read_spec
from biometrics.errors import BiometricsError
from biometrics.matching.decision import Method

Floats = npt.NDArray[np.float32]

ENGINES = Path(__file__).resolve().parents[2] / "docs" / "engines"
PLACEHOLDER = "FILL-IN"
DESCRIPTIONS = sorted(path for path in ENGINES.glob("*.yaml") if "policy" not in path.name)


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ENGINES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def described_embedder(name: str) -> Embedder:
    """The embedder of a description whose hash is entered."""
    text = (ENGINES / f"{name}.yaml").read_text(encoding="utf-8").replace(PLACEHOLDER, "0" * 64)
    embedder = EngineSpec.model_validate(yaml.safe_load(text)).embedder
    assert embedder is not None
    return embedder


@pytest.mark.parametrize("file", DESCRIPTIONS, ids=lambda path: path.stem)
def test_a_description_is_valid_once_the_hash_is_entered(file: Path, tmp_path: Path) -> None:
    text = file.read_text(encoding="utf-8").replace(PLACEHOLDER, "0" * 64)
    filled = tmp_path / file.name
    filled.write_text(text, encoding="utf-8")
    spec = read_spec(filled)
    assert spec.id == file.stem
    embedder = spec.embedder
    assert embedder is not None
    assert isinstance(embedder.alignment, PointAlignment)
    for x, y in embedder.alignment.points.values():
        assert 0 < x < embedder.input.width
        assert 0 < y < embedder.input.height


def test_only_the_engine_that_was_not_run_lacks_its_hash() -> None:
    unfilled = [file.stem for file in DESCRIPTIONS if PLACEHOLDER in file.read_text(encoding="utf-8")]
    assert unfilled == ["intel-0095"]


def test_the_readme_names_every_file() -> None:
    text = (ENGINES / "README.md").read_text(encoding="utf-8")
    for file in ENGINES.iterdir():
        if file.suffix in {".py", ".yaml"}:
            assert file.name in text


def test_the_policy_page_gives_a_worker_all_figures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copy(ENGINES / "lightcnn-v4-policy.yaml", tmp_path)
    monkeypatch.setenv("DIANMING_POLICIES", str(tmp_path))
    law = load_policies().at(date(2026, 3, 1), "410000")
    spec = read_spec(ENGINES / "lightcnn-v4.yaml")
    version = f"{spec.version}-{spec.digest(str(sface.KEY))[:12]}"
    assert scoring_method(law, EngineKey(spec.id, version)) is Method.NEUTRAL
    with pytest.raises(BiometricsError):
        scoring_method(law, EngineKey(spec.id, "1-another"))
    rules = enrolment_rules(law, spec.id)
    assert rules.enrolment.max_shot_distance < face_rules(law, spec.id).burst.max_frame_distance
    assert 0 < reuse_rules(law, spec.id).min_distance < rules.enrolment.max_shot_distance


class _Storage:
    def __init__(self, values: Floats) -> None:
        self.values = values


class _Tensor:
    """Pickled as PyTorch pickles a tensor."""

    rebuild: Any = None

    def __init__(self, values: Floats) -> None:
        self.values = values

    def __reduce__(self) -> tuple[Any, ...]:
        strides = tuple(each // 4 for each in self.values.strides)
        arguments: tuple[Any, ...] = (
            _Storage(self.values.ravel()),
            0,
            self.values.shape,
            strides,
            False,
            OrderedDict(),
        )
        return type(self).rebuild, arguments


def write_checkpoint(content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A checkpoint in PyTorch's format, written without PyTorch."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")

    def _rebuild_tensor_v2() -> None: ...

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    monkeypatch.setattr(_Tensor, "rebuild", staticmethod(_rebuild_tensor_v2))
    storages: list[Floats] = []

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            if not isinstance(obj, _Storage):
                return None
            storages.append(obj.values)
            return ("storage", torch.FloatStorage, str(len(storages) - 1), "cpu", obj.values.size)

    pickled, archived = io.BytesIO(), io.BytesIO()
    Pickler(pickled, protocol=2).dump(content)
    with zipfile.ZipFile(archived, "w") as archive:
        archive.writestr("archive/data.pkl", pickled.getvalue())
        for key, values in enumerate(storages):
            archive.writestr(f"archive/data/{key}", values.tobytes())
    return archived.getvalue()


def small_network() -> dict[str, Floats]:
    """Weights of a narrow network that ignores its input: every convolution outputs its larger bias, 2."""
    layers = ["conv1", "conv2", "conv3", "conv4", "conv5"]
    layers += [f"block{block}.0.conv{number}" for block in range(1, 5) for number in (1, 2)]
    weights: dict[str, Floats] = {}
    for layer in layers:
        entering = 3 if layer == "conv1" else 2
        weights[f"module.{layer}.filter.weight"] = np.zeros((4, entering, 3, 3), np.float32)
        weights[f"module.{layer}.filter.bias"] = np.array([1, 2, 2, 1], np.float32)
    weights["module.fc.weight"] = np.array([[1, 0], [1, 1]], np.float32)
    weights["module.fc.bias"] = np.array([0.5, 0], np.float32)
    return weights


def run_model(model: ModelProto, pixels: Floats) -> list[list[float]]:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (values,) = session.run(["descriptor"], {"input": pixels})
    rows: list[list[float]] = values.tolist()
    return rows


def test_a_checkpoint_becomes_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    script = load_script("lightcnn_to_onnx")
    tensors = {name: _Tensor(values) for name, values in small_network().items()}
    weights = script.read_checkpoint(write_checkpoint({"epoch": 40, "state_dict": tensors}, monkeypatch))
    assert weights["conv1.filter.weight"].shape == (4, 3, 3, 3)
    model = script.build_model(weights, side=16)
    # Halving adds maximum and mean, so the last layer's 2 becomes 4 in both channels.
    assert run_model(model, np.ones((2, 3, 16, 16), np.float32)) == [[4.5, 8.0]] * 2
    assert script.build_model(weights, side=16).SerializeToString() == model.SerializeToString()


class _Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit",)


def test_a_checkpoint_that_would_run_code_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    script = load_script("lightcnn_to_onnx")
    data = write_checkpoint({"state_dict": {}, "optimizer": _Hostile()}, monkeypatch)
    with pytest.raises(script.CheckpointInvalid, match="exec"):
        script.read_checkpoint(data)


def test_a_converted_intel_model_gets_the_described_names_and_shape() -> None:
    script = load_script("intel_0095_to_onnx")
    spec = described_embedder("intel-0095")
    nodes = [
        helper.make_node("ReduceMean", ["0"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Expand", ["mean", "shape"], ["658"]),
    ]
    shape = helper.make_tensor("shape", TensorProto.INT64, [4], [1, 256, 1, 1])
    graph = helper.make_graph(
        nodes,
        "intel",
        [helper.make_tensor_value_info("0", TensorProto.FLOAT, [1, 3, 128, 128])],
        [helper.make_tensor_value_info("658", TensorProto.FLOAT, [1, 256, 1, 1])],
        [shape],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    flat = script.flatten_output(model)
    assert (flat.graph.input[0].name, flat.graph.output[0].name) == (spec.input.name, spec.output)
    assert run_model(flat, np.full((1, 3, 128, 128), 7, np.float32)) == [[7.0] * spec.dimension]

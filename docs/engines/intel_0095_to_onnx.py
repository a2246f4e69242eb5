"""Prepare face-reidentification-retail-0095, converted from OpenVINO's format, for `docs/engines/intel-0095.yaml`.

    python docs/engines/intel_0095_to_onnx.py face-reidentification-retail-0095.onnx /etc/dianming/intel-0095.onnx

The model's output has the shape (1, 256, 1, 1); an engine needs (1, 256). This script adds the missing step, gives input
and output the names of the description, and prints the SHA-256 to enter there. Needs onnx. docs/engines/README.md says
where the file comes from.
"""

import argparse
import hashlib
import sys
from pathlib import Path

import onnx
from onnx import ModelProto, TensorProto, checker, helper

DIMENSION = 256
INPUT, OUTPUT = "input", "descriptor"


def flatten_output(model: ModelProto) -> ModelProto:
    """The same model with one input `input` and one output `descriptor` of shape (1, 256)."""
    graph = model.graph
    constants = {each.name for each in graph.initializer}
    inputs = [each for each in graph.input if each.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise ValueError(f"expected one input and one output, not {len(inputs)} and {len(graph.output)}")
    old_input, old_output = inputs[0].name, graph.output[0].name
    nodes = [
        helper.make_node("Identity", [INPUT], [old_input], name="rename"),
        *graph.node,
        helper.make_node("Flatten", [old_output], [OUTPUT], name="flatten"),
    ]
    inputs[0].name = INPUT
    del graph.node[:], graph.output[:]
    graph.node.extend(nodes)
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [1, DIMENSION]))
    checker.check_model(model, full_check=True)
    return model


def main() -> None:
    """Convert one file, and print the SHA-256 of the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="the ONNX file made from OpenVINO's format")
    parser.add_argument("onnx", type=Path, help="the file to write")
    arguments = parser.parse_args()
    content = flatten_output(onnx.load(arguments.source)).SerializeToString(deterministic=True)
    arguments.onnx.write_bytes(content)
    sys.stdout.write(f"{hashlib.sha256(content).hexdigest()}  {arguments.onnx}\n")


if __name__ == "__main__":
    main()

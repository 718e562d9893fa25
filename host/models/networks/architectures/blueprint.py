"""A network's layers and the names and shapes of its parameters, apart from their values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Shape = tuple[int, ...]
Parameters = Mapping[str, NDArray[Any]]

# Old enough for every ONNX Runtime that has the quantized operators; per-channel weights came with opset 13.
OPSET, IR_VERSION = 13, 8

INPUT = "image"
"""Name of every network's input."""


class Output(NamedTuple):
    """A value of the network; ``shape`` without the batch."""

    name: str
    shape: Shape


@dataclass(frozen=True)
class Blueprint:
    """A network without its parameters' values.

    ``image``: shape [C, H, W] of the input; ``shapes``: those of all values that nodes produce, without the batch;
    ``parameters``: shapes by torchvision's names, in the order of layers;
    ``folded``: convolution weights by name, and the parameter [C_in] that multiplies them; ``features``: the value before
    the classifier, and ``classifier`` the prefix of that layer's parameters, None where no classifier ends the network.
    """

    name: str
    image: Shape
    nodes: tuple[onnx.NodeProto, ...]
    constants: tuple[onnx.TensorProto, ...]
    shapes: Mapping[str, Shape]
    parameters: Mapping[str, Shape]
    folded: Mapping[str, str]
    outputs: tuple[Output, ...]
    features: Output | None
    classifier: str | None

    def model(self, parameters: Parameters) -> onnx.ModelProto:
        """The float network as ONNX: float32 [N, C, H, W] in, one value an output; ``parameters`` must fit."""
        values = {name: np.ascontiguousarray(parameters[name], np.float32) for name in self.parameters}
        for name, factor in self.folded.items():
            values[name] = values[name] * values[factor].reshape(1, -1, 1, 1)
        used = {name for node in self.nodes for name in node.input}
        initializers = [numpy_helper.from_array(value, name) for name, value in values.items() if name in used]
        graph = helper.make_graph(
            self.nodes, self.name,
            [_value(INPUT, self.image)], [_value(output.name, output.shape) for output in self.outputs],
            [*initializers, *self.constants])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="arrayloom")
        model.ir_version = IR_VERSION
        return model


def _value(name: str, shape: Shape) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape])

"""A network's layers, and the names and shapes of its parameters without their values; built layer by layer.

Parameters carry torchvision's names.
"""

from collections.abc import Mapping, Sequence
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

BATCH_NORM = (".weight", ".bias", ".running_mean", ".running_var")
"""Suffixes of a BatchNormalization's parameters, in the order of the operator's inputs."""

BATCH_NORM_EPSILON = 1e-5

Pads = tuple[int, int, int, int]


class Output(NamedTuple):
    """A value of the network; ``shape`` without the batch."""

    name: str
    shape: Shape


@dataclass(frozen=True)
class Blueprint:
    """A network without its parameters' values.

    ``image``: shape [C, H, W] of the input; ``shapes``: shapes of all node outputs, without the batch;
    ``parameters``: shapes by torchvision's names, in the order of layers;
    ``folded``: convolution weights by name, with the parameter [C_in] that multiplies each; ``features``: the value before
    the classifier; ``classifier``: the prefix of that layer's parameters. Both are None if the network does not end with a
    classifier.
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
        """The float network as ONNX: float32 [N, C, H, W] in, one value per output; ``parameters`` must fit."""
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


class Value(NamedTuple):
    """A value of the graph; ``shape``: [C, H, W], or [F] after ``flatten``."""

    name: str
    shape: Shape

    @property
    def channels(self) -> int:
        return self.shape[0]


class Builder:
    """Appends one layer per call. A layer's ``name`` is the prefix of its parameters in torchvision's ``state_dict``.

    Parameters: `network`, the graph's name; `channels`, `height`, `width` of the image.
    """

    def __init__(self, network: str, height: int, width: int, channels: int = 3) -> None:
        self.network = network
        self.image = Value(INPUT, (channels, height, width))
        self.nodes: list[onnx.NodeProto] = []
        self.parameters: dict[str, Shape] = {}
        self.folded: dict[str, str] = {}
        self.shapes: dict[str, Shape] = {}

    def conv(self, x: Value, name: str, channels: int, kernel: int, *, stride: int = 1, padding: int = 0,
             dilation: int = 1, bias: bool = True, scaled_by: str | None = None) -> Value:
        """Square convolution. ``scaled_by``: a parameter [C_in] that multiplies its weights."""
        self.parameters[f"{name}.weight"] = (channels, x.channels, kernel, kernel)
        if scaled_by is not None:
            self.parameters[scaled_by] = (x.channels,)
            self.folded[f"{name}.weight"] = scaled_by
        inputs = [x.name, f"{name}.weight"]
        if bias:
            self.parameters[f"{name}.bias"] = (channels,)
            inputs.append(f"{name}.bias")
        reach = dilation * (kernel - 1) + 1
        shape = (channels, *((side + 2 * padding - reach) // stride + 1 for side in x.shape[1:]))
        return self._node("Conv", name, inputs, shape, kernel_shape=[kernel] * 2, strides=[stride] * 2,
                          pads=[padding] * 4, dilations=[dilation] * 2)

    def batch_norm(self, x: Value, name: str) -> Value:
        names = [name + suffix for suffix in BATCH_NORM]
        self.parameters.update(dict.fromkeys(names, (x.channels,)))
        return self._node("BatchNormalization", name, [x.name, *names], x.shape, epsilon=BATCH_NORM_EPSILON)

    def linear(self, x: Value, name: str, features: int) -> Value:
        """Fully connected, over ``flatten``'s result."""
        self.parameters |= {f"{name}.weight": (features, x.channels), f"{name}.bias": (features,)}
        return self._node("Gemm", name, [x.name, f"{name}.weight", f"{name}.bias"], (features,), transB=1)

    def relu(self, x: Value) -> Value:
        return self._node("Relu", f"{x.name}.relu", [x.name], x.shape)

    def max_pool(self, x: Value, name: str, kernel: int, stride: int, pads: Pads = (0, 0, 0, 0)) -> Value:
        """``pads``: top, left, bottom, right."""
        shape = _pooled(x.shape, kernel, stride, pads)
        return self._node("MaxPool", name, [x.name], shape, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=list(pads))

    def average_pool(self, x: Value, name: str, kernel: int, stride: int) -> Value:
        shape = _pooled(x.shape, kernel, stride, (0, 0, 0, 0))
        return self._node("AveragePool", name, [x.name], shape, kernel_shape=[kernel] * 2, strides=[stride] * 2)

    def global_average_pool(self, x: Value, name: str) -> Value:
        return self._node("GlobalAveragePool", name, [x.name], (x.channels, 1, 1))

    def add(self, a: Value, b: Value, name: str) -> Value:
        return self._node("Add", name, [a.name, b.name], a.shape)

    def concat(self, parts: Sequence[Value], name: str) -> Value:
        shape = (sum(part.channels for part in parts), *parts[0].shape[1:])
        return self._node("Concat", name, [part.name for part in parts], shape, axis=1)

    def flatten(self, x: Value, name: str) -> Value:
        channels, height, width = x.shape
        return self._node("Flatten", name, [x.name], (channels * height * width,))

    def function(self, op_type: str, name: str, inputs: Sequence[str], shape: Shape) -> Value:
        """Any other operator without attributes; ``inputs`` by name."""
        return self._node(op_type, name, inputs, shape)

    def finish(self, outputs: Sequence[tuple[str, Value]], features: Value | None, classifier: str | None,
               constants: Sequence[onnx.TensorProto] = ()) -> Blueprint:
        """The network; ``outputs``: new names, and the values that get them."""
        renamed = {value.name: name for name, value in outputs}
        for node in self.nodes:
            node.input[:] = [renamed.get(name, name) for name in node.input]
            node.output[:] = [renamed.get(name, name) for name in node.output]
        shapes = {renamed.get(name, name): shape for name, shape in self.shapes.items()}
        return Blueprint(self.network, self.image.shape, tuple(self.nodes), tuple(constants), shapes,
                         self.parameters, self.folded,
                         tuple(Output(name, value.shape) for name, value in outputs),
                         Output(features.name, features.shape) if features else None, classifier)

    def _node(self, op_type: str, name: str, inputs: Sequence[str], shape: Shape, **attributes: Any) -> Value:
        # the operator is part of the node's name, since a parameter's prefix may also be a value's name
        self.nodes.append(helper.make_node(op_type, inputs, [name], name=f"{name}/{op_type}", **attributes))
        self.shapes[name] = shape
        return Value(name, shape)


def _pooled(shape: Shape, kernel: int, stride: int, pads: Pads) -> Shape:
    channels, height, width = shape
    top, left, bottom, right = pads
    return (channels, (height + top + bottom - kernel) // stride + 1, (width + left + right - kernel) // stride + 1)

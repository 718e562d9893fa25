"""Mean and variance behind every layer of a network whose layers are normalized one after the other, in one run."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from arrayloom.compiler.frontend.runtime import Session
from arrayloom.host.models.networks.architectures import INPUT, Blueprint, Parameters
from arrayloom.host.models.networks.architectures.builder import BATCH_NORM_EPSILON

Array = NDArray[np.float32]

LEAST_SAMPLES = 64
"""Values of a channel over the images from which it gets a variance of its own; with fewer the whole layer shares one."""


class Statistics(NamedTuple):
    """Of a layer's sums before normalization, each [C]."""

    mean: Array
    variance: Array


def measure(blueprint: Blueprint, parameters: Parameters, images: Array) -> Iterator[tuple[onnx.NodeProto, Statistics]]:
    """Every BatchNormalization and every layer with a bias, in order, with its statistics over ``images`` [N, C, H, W].

    A bias is added behind the normalization.
    """
    model = blueprint.model(parameters)
    measured = [node for node in blueprint.nodes if _is_normalized(node)]
    own = {node.output[0] for node in measured if _samples(blueprint, node, len(images)) >= LEAST_SAMPLES}
    _instrument(model, own)
    values = Session(model).run({INPUT: images})
    for node in measured:
        name, channels = node.output[0], blueprint.shapes[node.output[0]][0]
        yield node, Statistics(*(np.resize(values[what.format(name)], channels) for what in (_MEAN, _VARIANCE)))


_MEAN, _VARIANCE = "{}/mean", "{}/variance"


def _is_normalized(node: onnx.NodeProto) -> bool:
    return node.op_type == "BatchNormalization" or (node.op_type in ("Conv", "Gemm") and len(node.input) == 3)


def _samples(blueprint: Blueprint, node: onnx.NodeProto, images: int) -> int:
    return images * int(np.prod(blueprint.shapes[node.output[0]][1:]))


def _instrument(model: onnx.ModelProto, own: set[str]) -> None:
    """Makes the model normalize its layers and return what it measured; ``own``: those with a variance by channel."""
    graph = model.graph
    nodes = list(graph.node)
    del graph.node[:], graph.output[:]
    _constant(graph, "epsilon", np.float32(BATCH_NORM_EPSILON))
    for node in nodes:
        if _is_normalized(node):
            _normalize(graph, node, node.output[0] in own)
        else:
            graph.node.append(node)


def _normalize(graph: onnx.GraphProto, node: onnx.NodeProto, by_channel: bool) -> None:
    """Appends the layer's sums, their statistics, and (sums - mean) / sqrt(variance), times a gain, plus the bias."""
    name, rank = node.output[0], 2 if node.op_type == "Gemm" else 4
    axes = [axis for axis in range(rank) if axis != 1]
    mean, variance = _MEAN.format(name), _VARIANCE.format(name)
    emit = _Emitter(graph, name)
    sums = node.input[0] if node.op_type == "BatchNormalization" else _without_bias(graph, node)
    centred = emit("Sub", [sums, emit("ReduceMean", [sums], "mean", axes=axes)], "centred")
    squares = emit("Mul", [centred, centred], "squares")
    emit("ReduceMean", [squares], "variance", axes=axes if by_channel else list(range(rank)))
    deviation = emit("Sqrt", [emit("Add", [variance, "epsilon"], "safe")], "deviation")
    result = emit("Div", [centred, deviation], "normalized")
    if node.op_type == "BatchNormalization":
        result = emit("Mul", [result, _along_channels(graph, node.input[1], rank)], "gained")
    graph.node.append(helper.make_node("Add", [result, _along_channels(graph, node.input[2], rank)], [name]))
    graph.output.extend(helper.make_tensor_value_info(value, TensorProto.FLOAT, None) for value in (mean, variance))


class _Emitter:
    """Appends nodes whose outputs are named behind a layer."""

    def __init__(self, graph: onnx.GraphProto, layer: str) -> None:
        self.graph, self.layer = graph, layer

    def __call__(self, op_type: str, inputs: list[str], suffix: str, **attributes: Any) -> str:
        output = f"{self.layer}/{suffix}"
        self.graph.node.append(helper.make_node(op_type, inputs, [output], **attributes))
        return output


def _without_bias(graph: onnx.GraphProto, node: onnx.NodeProto) -> str:
    sums = f"{node.output[0]}/sums"
    bare = graph.node.add()
    bare.CopyFrom(node)
    del bare.input[2]
    bare.output[0] = sums
    return sums


def _along_channels(graph: onnx.GraphProto, parameter: str, rank: int) -> str:
    """The parameter [C] as a constant that broadcasts over a value of this rank."""
    value = next(numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name == parameter)
    return _constant(graph, f"{parameter}/along", value.reshape(1, -1, *(1,) * (rank - 2)))


def _constant(graph: onnx.GraphProto, name: str, value: NDArray[np.float32] | np.float32) -> str:
    graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name

"""Seeded random weights that keep every layer alive, and the seeded pictures on which they are scaled.

Weights are drawn with He's initialization (2015). One run over a few images then measures mean and variance after every
layer, where each layer is normalized before the next one: a BatchNormalization uses them as its running statistics, and any
other weighted layer is scaled and shifted by them.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from arrayloom.compiler.frontend.runtime import Session
from arrayloom.host.models.networks.blueprint import BATCH_NORM_EPSILON, INPUT, Blueprint, Parameters, Shape

Array = NDArray[np.float32]

LEAST_SAMPLES = 64
"""Fewest values per channel, over all images, for a variance per channel; with fewer, the whole layer shares one."""

COARSEST = 3
"""Cells per side of a picture's coarsest noise grid."""

_L2_SCALE = 20.0    # the initial value in SSD's training
_MEAN, _VARIANCE = "{}/mean", "{}/variance"     # suffixes of a layer's statistics


class Statistics(NamedTuple):
    """Statistics of a layer's sums before normalization, each [C]."""

    mean: Array
    variance: Array


def seeded_weights(blueprint: Blueprint, seed: int, images: Array) -> dict[str, Array]:
    """Values of all parameters; ``images``: float32 [N, C, H, W], preprocessed."""
    rng = np.random.default_rng(seed)
    drawn = {name: _draw(rng, name, shape, blueprint) for name, shape in blueprint.parameters.items()}
    for node, statistics in measure(blueprint, drawn, images):
        _settle(node, drawn, statistics)
    return drawn


def _draw(rng: np.random.Generator, name: str, shape: Shape, blueprint: Blueprint) -> Array:
    if len(shape) > 1:
        return rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / np.prod(shape[1:])))
    if name in blueprint.folded.values():
        return np.full(shape, _L2_SCALE, np.float32)
    if name.endswith(".weight"):
        return rng.uniform(0.8, 1.2, shape).astype(np.float32)
    if name.endswith((".running_var", ".running_mean")):
        return np.full(shape, name.endswith(".running_var"), np.float32)
    return rng.normal(0, 0.1, shape).astype(np.float32)


def _settle(node: onnx.NodeProto, parameters: dict[str, Array], statistics: Statistics) -> None:
    """Sets the layer's parameters so that its output equals the measured one."""
    if node.op_type == "BatchNormalization":
        mean, variance = node.input[3:]
        parameters[mean], parameters[variance] = statistics.mean, statistics.variance
        return
    weight, bias = node.input[1:]
    deviation = np.sqrt(statistics.variance)
    parameters[weight] /= deviation.reshape(-1, *(1,) * (parameters[weight].ndim - 1))
    parameters[bias] -= statistics.mean / deviation


def measure(blueprint: Blueprint, parameters: Parameters, images: Array) -> Iterator[tuple[onnx.NodeProto, Statistics]]:
    """Every BatchNormalization and every layer with a bias, in order, with its statistics over ``images`` [N, C, H, W].

    A bias is added after the normalization.
    """
    model = blueprint.model(parameters)
    measured = [node for node in blueprint.nodes if _is_normalized(node)]
    own = {node.output[0] for node in measured if _samples(blueprint, node, len(images)) >= LEAST_SAMPLES}
    _instrument(model, own)
    values = Session(model).run({INPUT: images})
    for node in measured:
        name, channels = node.output[0], blueprint.shapes[node.output[0]][0]
        yield node, Statistics(*(np.resize(values[what.format(name)], channels) for what in (_MEAN, _VARIANCE)))


def _is_normalized(node: onnx.NodeProto) -> bool:
    return node.op_type == "BatchNormalization" or (node.op_type in ("Conv", "Gemm") and len(node.input) == 3)


def _samples(blueprint: Blueprint, node: onnx.NodeProto, images: int) -> int:
    return images * int(np.prod(blueprint.shapes[node.output[0]][1:]))


def _instrument(model: onnx.ModelProto, own: set[str]) -> None:
    """Makes the model normalize its layers and return the statistics; ``own``: layers with a variance per channel."""
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
    """Appends nodes whose outputs are named after a layer."""

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


def pictures(count: int, height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """uint8 [count, height, width, 3]: noise whose amplitude falls as its frequency grows, each picture from 0 to 255."""
    rng = np.random.default_rng(seed)
    return np.stack([_picture(rng, height, width) for _ in range(count)])


def _picture(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    total = np.zeros((height, width, 3), np.float32)
    cells = COARSEST
    while cells <= max(height, width):
        grid = rng.normal(0, 1 / cells, (3, cells, cells)).astype(np.float32)
        planes = [Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR) for plane in grid]
        total += np.stack([np.asarray(plane) for plane in planes], axis=2)
        cells *= 2
    low, high = total.min(), total.max()
    return np.rint((total - low) * (255 / (high - low))).astype(np.uint8)

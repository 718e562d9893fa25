"""Folds the factors of BatchNormalization and Gemm into constant weights.

A BatchNormalization, y = scale * (x - mean) / sqrt(variance + epsilon) + bias, is a factor and an offset for each channel.
ONNX Runtime's optimizer does not fold those before a convolution, after a transposed convolution and after Gemm. Before a
convolution without padding, both are folded into its weights and bias. A remaining one, such as before the Relu of a
DenseNet, becomes a lookup table per channel on the accelerator.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from arrayloom.compiler.frontend.attributes import attribute, drop_attributes

Floats = NDArray[np.float64]

EPSILON = 1e-5  # BatchNormalization's default


class GraphEditor:
    """Edits a model in place; knows each value's producer and readers, and the constants."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        graph = model.graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.producers = {name: node for node in graph.node for name in node.output}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.outputs = {value.name for value in graph.output}

    def array(self, name: str) -> Floats:
        """A constant in float64."""
        return numpy_helper.to_array(self.constants[name]).astype(np.float64)

    def add(self, name: str, value: Floats) -> str:
        """Adds a float32 initializer; returns its name."""
        while name in self.constants or name in self.producers:
            name += "_folded"
        tensor = numpy_helper.from_array(value.astype(np.float32), name)
        self.model.graph.initializer.append(tensor)
        self.constants[name] = tensor
        return name

    def only_reader(self, name: str) -> onnx.NodeProto | None:
        """The only reader of a value; None if there are several, or it is an output."""
        readers = self.readers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def bypass(self, node: onnx.NodeProto) -> None:
        """Remove a node; its readers read its first input."""
        for reader in self.readers.get(node.output[0], []):
            reader.input[:] = [node.input[0] if name == node.output[0] else name for name in reader.input]
        self.readers[node.input[0]] = [r for r in self.readers[node.input[0]] if r is not node] + self.readers.pop(
            node.output[0], [])
        self.model.graph.node.remove(node)


@dataclass(frozen=True)
class _Affine:
    """y = factor * x + offset, for each channel."""

    factor: Floats
    offset: Floats


def fold_batch_norms(model: onnx.ModelProto, notes: list[str]) -> onnx.ModelProto:
    """Folds each BatchNormalization into the preceding ConvTranspose or the following Conv, where that is exact."""
    graph = GraphEditor(model)
    for node in [n for n in model.graph.node if n.op_type == "BatchNormalization"]:
        affine = _affine(graph, node)
        if affine is None:
            continue
        if _fold_into_previous(graph, node, affine) or _fold_into_next(graph, node, affine):
            graph.bypass(node)
    left = sum(node.op_type == "BatchNormalization" for node in model.graph.node)
    if left:
        notes.append(f"{left} BatchNormalization nodes that cannot be folded into a convolution become lookup tables per "
                     "channel")
    return model


def _affine(graph: GraphEditor, node: onnx.NodeProto) -> _Affine | None:
    """The affine function of a BatchNormalization with constant parameters, in inference."""
    if attribute(node, "training_mode", 0) or any(name not in graph.constants for name in node.input[1:]):
        return None
    scale, bias, mean, variance = (graph.array(name) for name in node.input[1:])
    factor = scale / np.sqrt(variance + attribute(node, "epsilon", EPSILON))
    return _Affine(factor, bias - mean * factor)


def _fold_into_previous(graph: GraphEditor, node: onnx.NodeProto, affine: _Affine) -> bool:
    """Folds into the preceding ConvTranspose, whose weights are [C, M, kH, kW] without groups."""
    conv = graph.producers.get(node.input[0])
    if conv is None or conv.op_type != "ConvTranspose" or graph.only_reader(node.input[0]) is not node:
        return False
    if attribute(conv, "group", 1) != 1 or any(name not in graph.constants for name in conv.input[1:]):
        return False
    weight = graph.array(conv.input[1])
    bias = graph.array(conv.input[2]) if len(conv.input) > 2 else np.zeros(weight.shape[1])
    weight *= affine.factor.reshape(1, -1, *[1] * (weight.ndim - 2))
    _replace(graph, conv, weight, bias * affine.factor + affine.offset)
    return True


def _fold_into_next(graph: GraphEditor, node: onnx.NodeProto, affine: _Affine) -> bool:
    """Folds into the following Conv unless that pads: the padded zeros must not get the offset."""
    conv = graph.only_reader(node.output[0])
    if conv is None or conv.op_type != "Conv":
        return False
    padded = any(attribute(conv, "pads", [])) or attribute(conv, "auto_pad", "NOTSET") not in ("NOTSET", "VALID")
    if (padded and np.any(affine.offset)) or any(name not in graph.constants for name in conv.input[1:]):
        return False
    weight = graph.array(conv.input[1])
    groups = attribute(conv, "group", 1)
    outputs, depth = weight.shape[:2]
    channels = np.arange(depth) + depth * (np.arange(outputs) // (outputs // groups))[:, np.newaxis]
    spatial = [1] * (weight.ndim - 2)
    bias = graph.array(conv.input[2]) if len(conv.input) > 2 else np.zeros(outputs)
    bias = bias + (weight * affine.offset[channels].reshape(outputs, depth, *spatial)).reshape(outputs, -1).sum(axis=1)
    _replace(graph, conv, weight * affine.factor[channels].reshape(outputs, depth, *spatial), bias)
    return True


def _replace(graph: GraphEditor, conv: onnx.NodeProto, weight: Floats, bias: Floats) -> None:
    name = conv.input[1]
    inputs = [conv.input[0], graph.add(f"{name}_normalized", weight), graph.add(f"{name}_bias_normalized", bias)]
    conv.input[:] = inputs


def normalize_gemm(model: onnx.ModelProto) -> onnx.ModelProto:
    """Folds alpha and beta of every Gemm into its constant weights and bias, and makes the bias 1-D."""
    graph = GraphEditor(model)
    for node in model.graph.node:
        if node.op_type == "Gemm":
            for index, name in ((1, "alpha"), (2, "beta")):
                _fold_factor(graph, node, index, name)
            _flatten_bias(graph, node)
    return model


def _fold_factor(graph: GraphEditor, node: onnx.NodeProto, index: int, name: str) -> None:
    factor = attribute(node, name, 1.0)
    if factor == 1.0 or len(node.input) <= index or node.input[index] not in graph.constants:
        return
    node.input[index] = graph.add(f"{node.input[index]}_{name}", graph.array(node.input[index]) * factor)
    drop_attributes(node, name)


def _flatten_bias(graph: GraphEditor, node: onnx.NodeProto) -> None:
    """ONNX lets the bias broadcast: from a scalar, [1], [1, M] or [M]."""
    if len(node.input) < 3 or any(name not in graph.constants for name in node.input[1:]):
        return
    bias = graph.array(node.input[2])
    channels = graph.array(node.input[1]).shape[0 if attribute(node, "transB", 0) else 1]
    if bias.shape != (channels,) and bias.size in (1, channels):
        node.input[2] = graph.add(f"{node.input[2]}_flat", np.broadcast_to(bias.reshape(-1), (channels,)))

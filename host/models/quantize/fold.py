"""BatchNormalization that ONNX Runtime's optimizer leaves: before a convolution, behind a transposed one, behind Gemm.

y = scale * (x - mean) / sqrt(variance + epsilon) + bias is a factor and an offset for each channel. Before a convolution
without padding both go into its weights and bias. What stays, as before the Relu of a DenseNet, becomes a table for
each channel on the accelerator.
"""

from dataclasses import dataclass

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.host.models.quantize.prepare.editor import Floats, GraphEditor

EPSILON = 1e-5  # BatchNormalization's default


@dataclass(frozen=True)
class _Affine:
    """y = factor * x + offset, for each channel."""

    factor: Floats
    offset: Floats


def fold_into_next(model: onnx.ModelProto, notes: list[str]) -> onnx.ModelProto:
    """The model with BatchNormalization folded into the ConvTranspose before it or the Conv behind it, where exact."""
    graph = GraphEditor(model)
    for node in [n for n in model.graph.node if n.op_type == "BatchNormalization"]:
        affine = _affine(graph, node)
        if affine is None:
            continue
        if _fold_behind(graph, node, affine) or _fold_before(graph, node, affine):
            graph.bypass(node)
    left = sum(node.op_type == "BatchNormalization" for node in model.graph.node)
    if left:
        notes.append(f"{left} BatchNormalization nodes, not to be folded into a convolution, become tables for each channel")
    return model


def _affine(graph: GraphEditor, node: onnx.NodeProto) -> _Affine | None:
    """The function of a BatchNormalization with constant parameters, in inference."""
    if attribute(node, "training_mode", 0) or any(name not in graph.constants for name in node.input[1:]):
        return None
    scale, bias, mean, variance = (graph.array(name) for name in node.input[1:])
    factor = scale / np.sqrt(variance + attribute(node, "epsilon", EPSILON))
    return _Affine(factor, bias - mean * factor)


def _fold_behind(graph: GraphEditor, node: onnx.NodeProto, affine: _Affine) -> bool:
    """Into the ConvTranspose before it, whose weights are [C, M, kH, kW] where it has no groups."""
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


def _fold_before(graph: GraphEditor, node: onnx.NodeProto, affine: _Affine) -> bool:
    """Into the Conv behind it, unless that pads: with 0, which no offset may meet."""
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

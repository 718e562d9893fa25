"""Gemm as integer arithmetic has it: without factors, with a bias of one number for each channel."""

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.host.models.quantize.prepare.editor import GraphEditor


def normalize_gemm(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with alpha and beta of every Gemm multiplied into its constant weights and bias, the bias 1-D."""
    graph = GraphEditor(model)
    for node in model.graph.node:
        if node.op_type == "Gemm":
            for index, name in ((1, "alpha"), (2, "beta")):
                _fold(graph, node, index, name)
            _flatten_bias(graph, node)
    return model


def _fold(graph: GraphEditor, node: onnx.NodeProto, index: int, name: str) -> None:
    factor = attribute(node, name, 1.0)
    if factor == 1.0 or len(node.input) <= index or node.input[index] not in graph.constants:
        return
    node.input[index] = graph.add(f"{node.input[index]}_{name}", graph.array(node.input[index]) * factor)
    kept = [given for given in node.attribute if given.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)


def _flatten_bias(graph: GraphEditor, node: onnx.NodeProto) -> None:
    """ONNX lets the bias broadcast: from a scalar, [1], [1, M] or [M]."""
    if len(node.input) < 3 or any(name not in graph.constants for name in node.input[1:]):
        return
    bias = graph.array(node.input[2])
    channels = graph.array(node.input[1]).shape[0 if attribute(node, "transB", 0) else 1]
    if bias.shape != (channels,) and bias.size in (1, channels):
        node.input[2] = graph.add(f"{node.input[2]}_flat", np.broadcast_to(bias.reshape(-1), (channels,)))

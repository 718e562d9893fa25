"""Gemm with factors, which integer arithmetic has no place for."""

import onnx

from compiler.frontend.attributes import attribute
from host.quantize.prepare.editor import GraphEditor


def fold_factors(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with alpha and beta of every Gemm multiplied into its constant weights and bias."""
    graph = GraphEditor(model)
    for node in model.graph.node:
        if node.op_type != "Gemm":
            continue
        for index, name in ((1, "alpha"), (2, "beta")):
            factor = attribute(node, name, 1.0)
            if factor != 1.0 and len(node.input) > index and node.input[index] in graph.constants:
                node.input[index] = graph.add(f"{node.input[index]}_{name}", graph.array(node.input[index]) * factor)
                kept = [given for given in node.attribute if given.name != name]
                del node.attribute[:]
                node.attribute.extend(kept)
    return model

"""Multiply-accumulates of the nodes of a model, integer or float."""

import math

import onnx

from arrayloom.compiler.frontend.model import Model

#: Index of the weights among the operands.
_PRODUCTS = {"Conv": 1, "ConvTranspose": 1, "Gemm": 1, "MatMul": 1, "QLinearConv": 3, "QLinearMatMul": 3, "QGemm": 3,
             "FusedConv": 1, "FusedGemm": 1, "FusedMatMul": 1}


def multiply_accumulates(model: Model, node: onnx.NodeProto) -> int:
    """Returns the multiply-accumulates of a node for one image; 0 unless it is a product with activations."""
    place = _PRODUCTS.get(node.op_type)
    if place is None or model.is_constant(node.output[0]):
        return 0
    x, weight, y = (model.shapes[name] for name in (node.input[0], node.input[place], node.output[0]))
    if node.op_type == "ConvTranspose":
        return math.prod(x) * math.prod(weight[1:])
    if node.op_type in ("Conv", "QLinearConv", "FusedConv"):
        return math.prod(y) * math.prod(weight[1:])
    depth = x[0] if any(entry.name == "transA" and entry.i for entry in node.attribute) else x[-1]
    return math.prod(y) * depth

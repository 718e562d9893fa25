"""What passes must know of attention: its products, and marks of the nodes that one pass writes and others leave."""

import onnx

from arrayloom.compiler.frontend.model import Model

RANK = 3                            # of tokens, [N, T, C]
PRODUCTS = {"MatMul": (0, 1), "QLinearMatMul": (0, 3)}      # products, with the places of their operands

NORM = "arrayloom.norm"             # mark of what computes a layer normalization
SCORES = "arrayloom.scores"         # mark of a softmax of scores that has its queries in front


def is_product(model: Model, node: onnx.NodeProto) -> bool:
    """Whether a node multiplies two matrices of activations."""
    places = PRODUCTS.get(node.op_type)
    return places is not None and not any(model.is_constant(node.input[place]) for place in places)


def mark(node: onnx.NodeProto, kind: str) -> None:
    """Mark a node, in place."""
    node.metadata_props.append(onnx.StringStringEntryProto(key=kind, value="1"))


def is_marked(node: onnx.NodeProto, kind: str) -> bool:
    """Whether a pass marked a node so."""
    return any(entry.key == kind for entry in node.metadata_props)

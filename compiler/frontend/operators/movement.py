"""Imports operators that only move integers."""

import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.builder import Builder
from arrayloom.compiler.frontend.movement import in_place, trace
from arrayloom.compiler.frontend.report import RefusalError


def move(builder: Builder, node: onnx.NodeProto) -> None:
    """Imports reshapes, Slice, Pad, Transpose, Split, Gather, Resize, Expand and Tile; several become one movement."""
    padding = _padding(builder, node)
    before = builder.moved(node.input[0], padding)
    outputs = [name for name in node.output if name]
    source = in_place(builder.model.shapes[node.input[0]])
    for output, index in zip(outputs, trace(builder.model, node, source, fill_index=-1), strict=True):
        builder.defer(output, before.through(index, padding, node, node.input[0]))


def _padding(builder: Builder, node: onnx.NodeProto) -> int | None:
    """Returns the byte that a Pad inserts; None for other nodes, and for a Pad that repeats elements of the image."""
    if node.op_type != "Pad" or attribute(node, "mode", "constant") != "constant":
        return None
    if len(node.input) > 2 and node.input[2] and not builder.model.is_constant(node.input[2]):
        raise RefusalError("its padding value is not constant", "pad with a constant")
    value = builder.model.constant(node, 2)
    return 0 if value is None else int(value.reshape(()))

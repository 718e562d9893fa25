"""Operators that only move integers."""

import onnx

from compiler.frontend.builder import Builder, Moved
from compiler.frontend.movement import in_place, trace
from compiler.frontend.report import RefusalError


def move(builder: Builder, node: onnx.NodeProto) -> None:
    """Reshapes, Slice, Pad, Transpose, Split, Gather, Resize, Expand and Tile: several in a row become one movement."""
    padding = _padding(builder, node)
    before = _before(builder, node.input[0], padding)
    outputs = [name for name in node.output if name]
    for output, index in zip(outputs, trace(builder.model, node, before.index, fill_index=-1), strict=True):
        fill = padding if before.fill is None else before.fill
        builder.defer(output, Moved(before.source, index, fill if (index < 0).any() else None, node, node.input[0]))


def _before(builder: Builder, name: str, padding: int | None) -> Moved:
    """How the operand is moved already; as a tensor of its own where it is padded by another byte than `padding`."""
    moved = builder.pending.get(name)
    if moved is not None and (padding is None or moved.fill in (None, padding)):
        return moved
    x = builder.tensor(name)
    return Moved(name, in_place((1, *x.onnx_shape)), None, onnx.NodeProto())


def _padding(builder: Builder, node: onnx.NodeProto) -> int | None:
    """The byte that a Pad adds; None for other nodes."""
    if node.op_type != "Pad":
        return None
    if len(node.input) > 2 and node.input[2] and not builder.model.is_constant(node.input[2]):
        raise RefusalError("its padding value is not constant", "pad with a constant")
    value = builder.model.constant(node, 2)
    return 0 if value is None else int(value.reshape(()))

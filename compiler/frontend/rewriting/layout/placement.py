"""Finds Transposes and operators whose dimensions are not where the accelerator needs them."""

import numpy as np
import onnx

from arrayloom.compiler.frontend.attention import NORM, is_marked
from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.kinds import FUNCTIONS, MOVEMENTS, NOTHING
from arrayloom.compiler.frontend.lowering import reductions as lowering
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.quantization import BYTES, known_quantization
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.frontend.rewriting.layout.order import Layout

REDUCTIONS = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare",
              "ReduceLogSum", "ReduceLogSumExp")


def reduced_axes(model: Model, node: onnx.NodeProto) -> list[int]:
    """Returns the non-negative axes of a reduction; empty if the reduction is refused."""
    try:
        return lowering.reduced_axes(model, node)
    except RefusalError:
        return []


def placed_value(node: onnx.NodeProto) -> str:
    """Returns the value whose dimensions decide whether a node is misplaced."""
    return node.input[0] if node.op_type in REDUCTIONS else next(name for name in node.output if name)


def is_misplaced(model: Model, node: onnx.NodeProto, layout: Layout) -> bool:
    """Whether an operator on operands stored in `layout` works along dimensions that the accelerator does not support.

    It concatenates along a dimension other than the channels, reduces dimensions other than rows and columns, or has
    constants that differ between positions.
    """
    rank = len(layout.order)
    if layout.unflattened is not None or rank < 3:
        return False
    if node.op_type in ("Concat", "QLinearConcat"):
        return layout.order[attribute(node, "axis") % rank] != 1
    if node.op_type in REDUCTIONS:
        wanted = [1] if is_marked(node, NORM) else list(range(2, rank))
        return sorted(layout.order[axis] for axis in reduced_axes(model, node)) != wanted
    if node.op_type not in FUNCTIONS or node.op_type == "BatchNormalization":
        return False
    shapes = [model.shapes[name] for name in node.input if name and model.is_constant(name)]
    long = {rank - len(shape) + int(axis) for shape in shapes for axis in np.flatnonzero(np.array(shape) != 1)}
    return any(layout.order[axis] != 1 for axis in long if axis >= 0)


def host_values(model: Model) -> set[str]:
    """Returns the values that the host may compute, because no integer or quantized value depends on them.

    In a float network, which has yet to be quantized, these are the results of movement and softmax at its end.
    """
    found = {""}
    quantized = any(dtype in BYTES for name, dtype in model.dtypes.items() if not model.is_constant(name))
    for node in reversed(model.nodes):
        readers = [reader for name in node.output for reader in model.consumers.get(name, [])]
        if _is_host_work(model, node, quantized) and all(found.issuperset(reader.output) for reader in readers):
            found.update(node.output)
    return found


def stands_in_the_way(model: Model, value: str) -> bool:
    """Whether a Transpose of `value` would separate a float operator from the QuantizeLinear of its result."""
    node = model.producers.get(value)
    moved = (*MOVEMENTS, *NOTHING, "DequantizeLinear")
    return node is not None and model.dtypes[value] not in BYTES and node.op_type not in moved


def undone_dequantizer(model: Model, quantizer: onnx.NodeProto) -> onnx.NodeProto | None:
    """Returns the DequantizeLinear that a QuantizeLinear reverses, with only Transposes in between, or None.

    With the same scale and zero point for both, fl(fl(q * scale) / scale) rounds to q.
    """
    value = quantizer.input[0]
    while (node := model.producers.get(value)) is not None and node.op_type == "Transpose":
        value = node.input[0]
    if value == quantizer.input[0] or node is None or node.op_type != "DequantizeLinear":
        return None
    quantization = known_quantization(model, quantizer)
    return node if quantization is not None and quantization == known_quantization(model, node) else None


def _is_host_work(model: Model, node: onnx.NodeProto, quantized: bool) -> bool:
    if node.op_type == "QuantizeLinear":
        return False
    if not quantized:
        return node.op_type in (*MOVEMENTS, *NOTHING, "Softmax")
    return node.op_type in (*MOVEMENTS, *NOTHING) or not any(model.dtypes[name] in BYTES for name in node.output if name)

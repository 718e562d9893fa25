"""Imports bounds on integers: constants, or the elements of another tensor."""

import numpy as np
import onnx

from arrayloom.compiler.frontend.broadcast import broadcast
from arrayloom.compiler.frontend.builder import Builder
from arrayloom.compiler.frontend.constants import declare_made
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.frontend.tabulate import all_bytes
from arrayloom.compiler.graph import Add, Clamp, Lookup

ONE = np.float32(1)

def clip(builder: Builder, node: onnx.NodeProto) -> None:
    """Imports Clip on integers."""
    _clamp(builder, node, node.input[0], [_bound(builder, node, 1)], [_bound(builder, node, 2)])


def relu(builder: Builder, node: onnx.NodeProto) -> None:
    """Imports Relu on int8."""
    _clamp(builder, node, node.input[0], [0], [])


def maximum(builder: Builder, node: onnx.NodeProto) -> None:
    """Imports Max of one or two integer tensors and constants."""
    _extreme(builder, node)


def minimum(builder: Builder, node: onnx.NodeProto) -> None:
    """Imports Min of one or two integer tensors and constants."""
    _extreme(builder, node)


def _extreme(builder: Builder, node: onnx.NodeProto) -> None:
    given = [name for name in node.input if not builder.model.is_constant(name)]
    constants = [_scalar(builder, name) for name in node.input if name not in given]
    if len(given) == 1:
        los, his = (constants, []) if node.op_type == "Max" else ([], constants)
        _clamp(builder, node, given[0], [*los], [*his])
        return
    if len(given) != 2 or constants:
        raise RefusalError(f"{len(node.input)} operands", "use nodes of at most two operands")
    _add_extreme(builder, node, given)


def _add_extreme(builder: Builder, node: onnx.NodeProto, given: list[str]) -> None:
    """Adds max(a, b) = b + max(a - b, 0) or min(a, b) = a - max(a - b, 0), which saturating bytes compute exactly.

    The byte of a - b saturates at the lowest value of the dtype, which represents 0. The byte of -b is lo + hi - b.
    """
    a, b = broadcast(builder, node, *given)
    y = builder.tensors[node.output[0]]
    lo, hi = y.range
    mirror = (lo + hi - all_bytes(y.dtype).astype(np.int32)).astype(y.dtype)[np.newaxis]
    stem = node.name or node.output[0]
    negative, excess = (declare_made(builder, f"{role}, made for {stem}", y) for role in ("negative", "excess"))
    builder.add(Lookup, node, negative, x=b, table=mirror)
    # (a - b) + lo, computed with the byte lo + hi - b
    builder.add(Add, node, excess, a=a, b=negative, a_ratio=ONE, b_ratio=ONE, offset=np.float32(-hi))
    if node.op_type == "Max":
        builder.add(Add, node, a=b, b=excess, a_ratio=ONE, b_ratio=ONE, offset=np.float32(-lo))
        return
    subtracted = declare_made(builder, f"subtracted, made for {stem}", y)
    builder.add(Lookup, node, subtracted, x=excess, table=mirror)
    builder.add(Add, node, a=a, b=subtracted, a_ratio=ONE, b_ratio=ONE, offset=np.float32(-hi))


def _bound(builder: Builder, node: onnx.NodeProto, index: int) -> int | None:
    if len(node.input) <= index or not node.input[index]:
        return None
    return _scalar(builder, node.input[index])


def _scalar(builder: Builder, name: str) -> int:
    if not builder.model.is_constant(name) or builder.model.constants[name].size != 1:
        raise RefusalError(f"its bound '{name}' is not a constant scalar", "use a constant scalar")
    return int(builder.model.constants[name].reshape(()))


def _clamp(builder: Builder, node: onnx.NodeProto, name: str, los: list[int | None], his: list[int | None]) -> None:
    x = builder.tensor(name)
    lo = max([x.range[0], *(bound for bound in los if bound is not None)])
    hi = min([x.range[1], *(bound for bound in his if bound is not None)])
    if lo > hi:
        raise RefusalError("its lower bound is above its upper one", "fix the bounds", f"{lo} > {hi}")
    builder.declare(node.output[0], x.shape)
    builder.add(Clamp, node, x=x.name, lo=lo, hi=hi)

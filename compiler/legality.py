"""The rules of the integer graph, checked between passes."""

from collections.abc import Callable
from typing import Any

import numpy as np

from arrayloom.compiler.attention_legality import ATTENTION_RULES
from arrayloom.compiler.checker import Checker
from arrayloom.compiler.errors import GraphError
from arrayloom.compiler.graph import (
    Add,
    AveragePool,
    BinaryLookup,
    Clamp,
    Concat,
    Conv,
    Graph,
    Lookup,
    MaxPool,
    Move,
    MovePixels,
    Mul,
    Op,
    SumPool,
    Tensor,
    View,
)
from arrayloom.isa.instructions import BYTE_VALUES

LEGAL_DTYPES = (np.dtype(np.uint8), np.dtype(np.int8))


def check_graph(graph: Graph) -> None:
    """Raise GraphError naming the node where a rule is broken: order, shapes, dtypes, ranges of attributes."""
    for key, tensor in graph.tensors.items():
        _check_tensor(key, tensor)
    produced = {given.tensor for given in graph.inputs}
    for op in graph.ops:
        _check_order(op, produced, graph.tensors)
        rule = _RULES.get(type(op))
        if rule is None:
            raise GraphError(f"node '{op.name}' ({op.op_type}): operation {type(op).__name__} has no rule")
        rule(Checker(op, graph.tensors), op)
        produced.add(op.output)
    for name in [*(given.tensor for given in graph.inputs), *(result.tensor for result in graph.outputs)]:
        if name not in graph.tensors or name not in produced:
            raise GraphError(f"the graph's border names tensor '{name}', which no operation produces")
    unmade = sorted(set(graph.tensors) - produced)
    if unmade:
        raise GraphError(f"tensor '{unmade[0]}' is declared and never produced")


def _check_tensor(key: str, tensor: Tensor) -> None:
    if key != tensor.name:
        raise GraphError(f"tensor '{tensor.name}' is filed under '{key}'")
    if tensor.dtype not in LEGAL_DTYPES:
        raise GraphError(f"tensor '{key}' has dtype {tensor.dtype}; legal are uint8 and int8")
    if len(tensor.shape) != 3 or min(tensor.shape) < 1:
        raise GraphError(f"tensor '{key}' has shape {tensor.shape}; legal are three positive extents C, H, W")
    if int(np.prod(tensor.onnx_shape)) != int(np.prod(tensor.shape)):
        raise GraphError(f"tensor '{key}' has {tensor.shape} elements but ONNX shape {tensor.onnx_shape}")


def _check_order(op: Op, produced: set[str], tensors: dict[str, Tensor]) -> None:
    for name in op.inputs:
        if name not in produced:
            raise GraphError(f"node '{op.name}' reads tensor '{name}' before it is produced")
    if op.output in produced:
        raise GraphError(f"node '{op.name}' produces tensor '{op.output}' a second time")
    if op.output not in tensors:
        raise GraphError(f"node '{op.name}' produces tensor '{op.output}', which is not declared")


def _conv(rule: Checker, op: Conv) -> None:
    x, w = rule.xs[0], op.weight
    rule.require(w.dtype == np.int16 and w.ndim == 4, f"weight is {w.dtype} of rank {w.ndim}, not int16 of rank 4")
    rule.require(int(np.abs(w).max(initial=0)) <= 255, "a weight lies outside -255..255")
    rule.require(op.group >= 1 and x.shape[0] == w.shape[1] * op.group, f"{x.shape[0]} channels, weight {w.shape}")
    rule.require(w.shape[0] % op.group == 0, f"{w.shape[0]} output channels do not divide into {op.group} groups")
    rule.require(op.bias.dtype == np.int32 and op.bias.shape == w.shape[:1], f"bias is {op.bias.dtype}{op.bias.shape}")
    rule.require(op.scale.shape == w.shape[:1], f"scale has shape {op.scale.shape}")
    rule.scale(op.scale)
    rule.zero_point(x, op.x_zero)
    rule.zero_point(rule.y, op.y_zero)
    rule.require(rule.y.shape[0] == w.shape[0], f"output has {rule.y.shape[0]} channels, weight has {w.shape[0]}")
    rule.windows(op.kernel, op.strides, op.pads, op.dilations, partial=False)


def _add(rule: Checker, op: Add) -> None:
    rule.shape(rule.xs[0].shape)
    rule.shape(rule.xs[1].shape)
    rule.require(rule.xs[0].dtype == rule.xs[1].dtype == rule.y.dtype, "operands and output differ in dtype")
    rule.scale(op.a_ratio)
    rule.scale(op.b_ratio)
    rule.require(bool(np.isfinite(op.offset)) and op.offset.dtype == np.float32, "offset is not a finite float32")


def _mul(rule: Checker, op: Mul) -> None:
    rule.shape(rule.xs[0].shape)
    rule.shape(rule.xs[1].shape)
    rule.require(rule.xs[0].dtype == rule.xs[1].dtype == rule.y.dtype, "operands and output differ in dtype")
    rule.scale(op.scale)
    for tensor, zero_point in zip((*rule.xs, rule.y), (op.a_zero, op.b_zero, op.y_zero), strict=True):
        rule.zero_point(tensor, zero_point)


def _max_pool(rule: Checker, op: MaxPool) -> None:
    rule.same_dtype()
    rule.shape((rule.xs[0].shape[0], *rule.y.shape[1:]))
    rule.windows(op.kernel, op.strides, op.pads, op.dilations, partial=True)


def _sum_pool(rule: Checker, op: SumPool) -> None:
    rule.same_dtype()
    rule.shape((rule.xs[0].shape[0], 1, 1))
    rule.scale(op.scale)
    rule.zero_point(rule.xs[0], op.x_zero)
    rule.zero_point(rule.y, op.y_zero)


def _average_pool(rule: Checker, op: AveragePool) -> None:
    rule.same_dtype()
    rule.shape((rule.xs[0].shape[0], *rule.y.shape[1:]))
    rule.scale(op.x_scale)
    rule.scale(op.y_scale)
    rule.zero_point(rule.xs[0], op.x_zero)
    rule.zero_point(rule.y, op.y_zero)
    rule.windows(op.kernel, op.strides, op.pads, (1, 1), partial=True)


def _concat(rule: Checker, op: Concat) -> None:
    rule.require(len(op.xs) >= 1, "has no input")
    rule.table(op.tables, (len(op.xs),))
    for x in rule.xs:
        rule.require(x.shape[1:] == rule.y.shape[1:], f"'{x.name}' is {x.shape}, the output {rule.y.shape}")
    rule.shape((sum(x.shape[0] for x in rule.xs), *rule.y.shape[1:]))


def _lookup(rule: Checker, op: Lookup) -> None:
    rule.shape(rule.xs[0].shape)
    rule.table(op.table, (1, rule.y.shape[0]))


def _binary_lookup(rule: Checker, op: BinaryLookup) -> None:
    rule.shape(rule.xs[0].shape)
    rule.shape(rule.xs[1].shape)
    rule.table(op.table, (BYTE_VALUES,))


def _clamp(rule: Checker, op: Clamp) -> None:
    rule.same_dtype()
    rule.shape(rule.xs[0].shape)
    lo, hi = rule.y.range
    rule.require(lo <= op.lo <= op.hi <= hi, f"bounds {op.lo}..{op.hi} are not in order within {rule.y.dtype}")


def _move(rule: Checker, op: Move) -> None:
    channels, height, width = rule.xs[0].shape
    extents = (channels, width, height) if op.swapped else (channels, height, width)
    named = (("channel", op.channels), ("row", op.rows), ("column", op.columns))
    for (what, places), extent, made in zip(named, extents, rule.y.shape, strict=True):
        rule.require(places.shape == (made,), f"{what}s have shape {places.shape}")
        rule.require(bool(np.all((places >= -1) & (places < extent))), f"a source {what} does not exist")
    rule.table(op.table, (1, rule.y.shape[0]))
    lo, hi = rule.y.range
    rule.require(lo <= op.fill <= hi, f"fill {op.fill} is outside {rule.y.dtype}")


def _move_pixels(rule: Checker, op: MovePixels) -> None:
    channels, height, width = rule.xs[0].shape
    rule.require(op.channels.shape == rule.y.shape[:1], f"channels have shape {op.channels.shape}")
    rule.require(op.places.shape == rule.y.shape[1:], f"places have shape {op.places.shape}")
    rule.require(bool(np.all((op.channels >= -1) & (op.channels < channels))), "a source channel does not exist")
    rule.require(bool(np.all((op.places >= -1) & (op.places < height * width))), "a source pixel does not exist")
    rule.table(op.table, (1, rule.y.shape[0]))
    lo, hi = rule.y.range
    rule.require(lo <= op.fill <= hi, f"fill {op.fill} is outside {rule.y.dtype}")


def _view(rule: Checker, _: View) -> None:
    rule.same_dtype()
    rule.shape(rule.xs[0].shape)


_RULES: dict[type[Op], Callable[[Checker, Any], None]] = {
    Conv: _conv,
    Add: _add,
    Mul: _mul,
    MaxPool: _max_pool,
    SumPool: _sum_pool,
    AveragePool: _average_pool,
    Concat: _concat,
    Lookup: _lookup,
    BinaryLookup: _binary_lookup,
    Clamp: _clamp,
    Move: _move,
    MovePixels: _move_pixels,
    View: _view,
    **ATTENTION_RULES,
}

"""Replaces sums and products of functions of the same tensor, such as x * sigmoid(x), by one lookup table."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.backend.add import float_product, float_sum
from arrayloom.compiler.graph import Add, BinaryLookup, Clamp, Graph, Lookup, Mul, Op, Tensor
from arrayloom.isa.instructions import BYTE_VALUES

Table = NDArray[Any]    # [1 or C, 256] in a tensor's dtype, indexed by the raw byte 0..255 of another


@dataclass(frozen=True)
class _Function:
    """A tensor each of whose elements is the entry of ``table`` for the element of ``source`` at the same place."""

    source: str
    table: Table


def tabulate_functions(graph: Graph) -> Graph:
    """Returns the graph with such sums and products replaced by lookups, and without operations that are then unused."""
    functions: dict[str, _Function] = {}
    ops: list[Op] = []
    for op in graph.ops:
        function = _function(op, functions, graph.tensors)
        if function is not None:
            functions[op.output] = function
            if isinstance(op, Add | Mul | BinaryLookup):
                op = Lookup(name=op.name, op_type=op.op_type, output=op.output, user_node=op.user_node,
                            user_operator=op.user_operator, x=function.source, table=function.table)
        ops.append(op)
    return _without_unread(replace(graph, ops=ops), functions) if ops != graph.ops else graph


def _function(op: Op, functions: dict[str, _Function], tensors: dict[str, Tensor]) -> _Function | None:
    """Returns an operation as a function of one tensor, or None if it reads several tensors or other elements."""
    if not isinstance(op, Add | Mul | BinaryLookup | Lookup | Clamp):
        return None
    operands = [functions.get(name) or _Function(name, _identity(tensors[name])) for name in op.inputs]
    if len({operand.source for operand in operands}) > 1:
        return None
    return _Function(operands[0].source, _table(op, [operand.table for operand in operands], tensors[op.output]))


def _identity(tensor: Tensor) -> Table:
    return np.arange(BYTE_VALUES, dtype=np.uint8).view(tensor.dtype)[np.newaxis]


def _table(op: Add | Mul | BinaryLookup | Lookup | Clamp, operands: list[Table], output: Tensor) -> Table:
    """Returns the table of an operation whose operands are tables, by the formulas in ``compiler/graph.py``."""
    rows = max(len(table) for table in operands)
    if isinstance(op, Lookup):
        rows = max(rows, len(op.table))
        raw = np.broadcast_to(operands[0].view(np.uint8), (rows, BYTE_VALUES)).astype(np.int64)
        return np.take_along_axis(np.broadcast_to(op.table, (rows, BYTE_VALUES)), raw, axis=1)
    if isinstance(op, Clamp):
        return np.clip(operands[0], op.lo, op.hi).astype(output.dtype)
    if isinstance(op, BinaryLookup):
        return op.table[tuple(np.broadcast_to(table.view(np.uint8), (rows, BYTE_VALUES)) for table in operands)]
    a, b = (np.broadcast_to(table, (rows, BYTE_VALUES)).astype(np.int64) for table in operands)
    if isinstance(op, Add):
        exact = float_sum(a.ravel(), b.ravel(), op.a_ratio, op.b_ratio, op.offset).reshape(a.shape)
    else:
        exact = float_product((a - op.a_zero) * (b - op.b_zero), op.scale, op.y_zero)
    return np.clip(exact, *output.range).astype(output.dtype)


def _without_unread(graph: Graph, functions: dict[str, _Function]) -> Graph:
    """Returns the graph without functions that nothing reads."""
    needed = {result.tensor for result in graph.outputs}
    kept: list[Op] = []
    for op in reversed(graph.ops):
        if op.output in needed or op.output not in functions:
            kept.append(op)
            needed.update(op.inputs)
    made = {op.output for op in kept} | {given.tensor for given in graph.inputs}
    return replace(graph, ops=kept[::-1], tensors={name: graph.tensors[name] for name in graph.tensors if name in made})

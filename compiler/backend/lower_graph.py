"""Lowers the integer graph to steps on signed bytes, one or more per operation; fusion follows later."""

from collections.abc import Callable
from typing import Any

import numpy as np

from arrayloom.compiler.attention import Constant, LayerNorm, Mixture, Scores, Softmax
from arrayloom.compiler.backend.attention import lower_constant, lower_layer_norm, lower_mixture, lower_scores, lower_softmax
from arrayloom.compiler.backend.epilogue import Epilogue, LookupTable, is_identity, signed_lookup_table
from arrayloom.compiler.backend.exact_average import as_sum
from arrayloom.compiler.backend.lower_pairs import lower_add, lower_binary_lookup, lower_mul
from arrayloom.compiler.backend.network_builder import Builder
from arrayloom.compiler.backend.operations import (
    Average,
    Convolution,
    Copy,
    Maximum,
    Sum,
    Taps,
)
from arrayloom.compiler.backend.selections import selections
from arrayloom.compiler.backend.steps import Network
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
    View,
)
from arrayloom.isa.layout import to_signed


def to_steps(graph: Graph) -> Network:
    """Returns the graph as a network of steps that are not yet fused."""
    builder = Builder(graph)
    for index, op in enumerate(graph.ops):
        builder.index = index
        LOWERINGS[type(op)](builder, op)
    return builder.network


def _conv(builder: Builder, op: Conv) -> None:
    zero = op.x_zero - builder.shift(op.x)
    total = op.weight.sum(axis=(1, 2, 3), dtype=np.int64)
    operation = Convolution(
        Taps(op.kernel, op.strides, (-op.pads[0], -op.pads[1]), op.dilations), weight=op.weight,
        bias=(op.bias - zero * total).astype(np.int32), scale=op.scale, padding=zero,
        zero_point=op.y_zero - builder.shift(op.output), group=op.group)
    builder.step(operation, op.x, op.output)


def _max_pool(builder: Builder, op: MaxPool) -> None:
    taps = Taps(op.kernel, op.strides, (-op.pads[0], -op.pads[1]), op.dilations)
    builder.step(Maximum(taps), op.x, op.output)


def _sum_pool(builder: Builder, op: SumPool) -> None:
    _, height, width = builder.graph.tensors[op.x].shape
    zero = op.x_zero - builder.shift(op.x)
    operation = Sum(Taps((height, width)), bias=-zero * height * width, scale=op.scale,
                    zero_point=op.y_zero - builder.shift(op.output))
    builder.step(operation, op.x, op.output)


def _average_pool(builder: Builder, op: AveragePool) -> None:
    shift = builder.shift(op.x)
    operation = Average(
        Taps(op.kernel, op.strides, (-op.pads[0], -op.pads[1])), x_scale=op.x_scale, x_zero=op.x_zero - shift,
        y_scale=op.y_scale, y_zero=op.y_zero - shift, unsigned=shift != 0, count_include_pad=op.count_include_pad)
    _, *source = builder.graph.tensors[op.x].shape
    _, *result = builder.graph.tensors[op.output].shape
    builder.step(as_sum(operation, (source[0], source[1]), (result[0], result[1])) or operation, op.x, op.output)


def _concat(builder: Builder, op: Concat) -> None:
    """Lowers a concatenation: parts whose bytes do not change are written directly to their place, others are copied."""
    network = builder.network
    if op.output in builder.virtual_concats:
        return
    given = {network.root(port.tensor) for port in network.inputs}
    members: list[str] = []
    for position, name in enumerate(op.xs):
        x = network.root(name)
        table = builder.lookup_table(op.tables[position:position + 1], x)
        part = x
        if table is not None or x in network.parts or x in given:
            part = builder.intermediate(f"{op.output}#{position}", network.shapes[x])
            builder.step(Copy(), x, part, Epilogue(lookup_table=table))
        network.parts[part] = (op.output, position)
        members.append(part)
    network.concats[op.output] = members


def _lookup(builder: Builder, op: Lookup) -> None:
    """Lowers a lookup to a copy; for a virtual concatenation, its tables are composed with the lookup's."""
    concat = builder.virtual_concats.get(op.x)
    if concat is None:
        builder.step(Copy(), op.x, op.output, Epilogue(lookup_table=builder.lookup_table(op.table, op.x)))
        return
    table = concat.through(signed_lookup_table(op.table, builder.graph.tensors[op.x].dtype))
    name = builder.intermediate(f"{op.output}#concat", builder.network.shapes[op.x])
    builder.network.virtual_concats[name] = [builder.network.root(part.tensor) for part in concat.parts]
    epilogue = Epilogue(lookup_table=None if is_identity(table) else table)
    builder.step(Copy(), name, op.output, epilogue, concat.sources)


def _clamp(builder: Builder, op: Clamp) -> None:
    shift = builder.shift(op.x)
    builder.step(Copy(), op.x, op.output, Epilogue(op.lo - shift, op.hi - shift))


def _view(builder: Builder, op: View) -> None:
    builder.network.aliases[op.output] = op.x


def _move(builder: Builder, op: Move | MovePixels) -> None:
    """Lowers a movement to a selection on the array.

    Positions outside x must have the fill value after the lookup table. If the table maps no byte to the fill value, it is
    applied before, in a separate step.
    """
    fill = int(to_signed(np.array([op.fill]).astype(builder.graph.tensors[op.output].dtype))[0])
    table = builder.lookup_table(op.table, op.x)
    source = op.x
    places = (op.places,) if isinstance(op, MovePixels) else (op.rows, op.columns)
    fills = any(bool(chosen.min() < 0) for chosen in (op.channels, *places))
    if table is not None and fills and not (table == fill).all(axis=0).any():
        source = builder.intermediate(f"{op.output}#table", builder.network.shapes[builder.network.root(op.x)])
        builder.step(Copy(), op.x, source, Epilogue(lookup_table=table))
        table = None
    padding = _stand_in(table, fill) if fills else 0
    shape = builder.network.shapes[builder.network.root(op.x)]
    channels, _, width = builder.network.shapes[op.output]
    *before, last = selections(op, shape, padding)
    for first in before:
        between = builder.intermediate(f"{op.output}#columns", (channels, shape[1], width))
        builder.step(first, source, between)
        source = between
    builder.step(last, source, op.output, Epilogue(lookup_table=table))


def _stand_in(table: LookupTable | None, fill: int) -> int:
    """Returns a byte that the lookup table maps to ``fill`` in all channels."""
    return fill if table is None else int(np.flatnonzero((table == fill).all(axis=0))[0]) - 128


LOWERINGS: dict[type[Op], Callable[[Builder, Any], None]] = {
    Conv: _conv, Add: lower_add, Mul: lower_mul, MaxPool: _max_pool, SumPool: _sum_pool, AveragePool: _average_pool,
    Concat: _concat, Lookup: _lookup, BinaryLookup: lower_binary_lookup, Clamp: _clamp, Move: _move, MovePixels: _move,
    View: _view, Scores: lower_scores, Mixture: lower_mixture, Softmax: lower_softmax, LayerNorm: lower_layer_norm,
    Constant: lower_constant}

"""From the integer graph to steps in the signed domain, one operation a step; fusion comes later."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.backend.add import add_constants, product_constants
from arrayloom.compiler.backend.epilogue import (
    AddConstants,
    Epilogue,
    LookupTable,
    Residual,
    is_identity,
    signed_lookup_table,
)
from arrayloom.compiler.backend.expansion import JOIN, MOST_CHANNELS, SUPPRESS, Expansion, PairTable, expand
from arrayloom.compiler.backend.features import find_features
from arrayloom.compiler.backend.operations import (
    Average,
    Convolution,
    Copy,
    Maximum,
    Operation,
    Rearrangement,
    Sum,
    Taps,
    selection,
    straight,
)
from arrayloom.compiler.backend.steps import Network, Step
from arrayloom.compiler.backend.virtual_concat import find_virtual_concats
from arrayloom.compiler.backend.wide import product_table, sum_table, wide_add, wide_product
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
    Mul,
    Op,
    SumPool,
    View,
)
from arrayloom.isa.layout import to_signed


def to_steps(graph: Graph) -> Network:
    """The whole graph as a network of single steps."""
    builder = Builder(graph)
    for index, op in enumerate(graph.ops):
        builder.index = index
        LOWERINGS[type(op)](builder, op)
    return builder.network


class Builder:
    """A network being built from a graph; ``index`` is that of the operation at hand."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.index = 0
        self.network = Network(
            shapes={name: tensor.shape for name, tensor in graph.tensors.items()},
            dtypes={name: tensor.dtype.name for name, tensor in graph.tensors.items()},
            inputs=graph.inputs, outputs=graph.outputs, features=find_features(graph))
        kept = {port.tensor for port in graph.outputs} | {self.network.features or ""}
        self.virtual_concats = find_virtual_concats(graph, kept)

    def shift(self, name: str) -> int:
        """What is taken from a tensor's raw bytes to make them signed."""
        return 128 if self.graph.tensors[name].dtype == np.uint8 else 0

    def step(self, operation: Operation, x: str, output: str, epilogue: Epilogue | None = None,
             sources: tuple[int, ...] = ()) -> None:
        """Appends a step whose result is the graph's tensor ``output``, or one of ours with its shape set before.

        ``sources``: operations that it stands for, apart from the one at hand.
        """
        step = Step(operation, self.network.root(x), output, (*sources, self.index), epilogue or Epilogue())
        self.network.steps.append(step.shown_as(output) if output in self.graph.tensors else step)

    def intermediate(self, name: str, shape: tuple[int, int, int]) -> str:
        """The name of a tensor that the graph does not have."""
        while name in self.network.shapes:
            name += "'"
        self.network.shapes[name] = shape
        return name

    def lookup_table(self, table: NDArray[Any], x: str) -> LookupTable | None:
        """A raw lookup table over the bytes of ``x`` in the signed domain; None where it changes nothing."""
        signed = signed_lookup_table(table, self.graph.tensors[x].dtype)
        return None if is_identity(signed) else signed


def _conv(builder: Builder, op: Conv) -> None:
    zero = op.x_zero - builder.shift(op.x)
    total = op.weight.sum(axis=(1, 2, 3), dtype=np.int64)
    operation = Convolution(
        Taps(op.kernel, op.strides, (-op.pads[0], -op.pads[1]), op.dilations), weight=op.weight,
        bias=(op.bias - zero * total).astype(np.int32), scale=op.scale, padding=zero,
        zero_point=op.y_zero - builder.shift(op.output), group=op.group)
    builder.step(operation, op.x, op.output)


def _add(builder: Builder, op: Add) -> None:
    """One step; where the constants are beyond the add unit, operands through lookup tables, or any function of two."""
    unsigned = builder.shift(op.output) != 0
    constants = add_constants(op, unsigned)
    if constants is not None:
        builder.step(Copy(), op.a, op.output, Epilogue(residual=_residual(builder, op.b, constants)))
    elif (wide := wide_add(op, unsigned)) is not None:
        a, b = (_through(builder, name, table, f"{op.output}#{place}")
                for place, (name, table) in enumerate(((op.a, wide.a_table), (op.b, wide.b_table))))
        builder.step(Copy(), a, op.output, Epilogue(residual=_residual(builder, b, wide.constants)))
    else:
        _expanded(builder, op, sum_table(op, unsigned))


def _mul(builder: Builder, op: Mul) -> None:
    """One step, with a lookup table behind it where most of the products are clamped; or any function of two."""
    unsigned = builder.shift(op.output) != 0
    constants = product_constants(op, unsigned)
    if constants is not None:
        builder.step(Copy(), op.a, op.output, Epilogue(residual=_residual(builder, op.b, constants)))
    elif (wide := wide_product(op, unsigned)) is not None:
        residual = _residual(builder, op.b, wide[0])
        builder.step(Copy(), op.a, op.output, Epilogue(residual=residual, lookup_table=wide[1]))
    else:
        _expanded(builder, op, product_table(op, unsigned))


def _residual(builder: Builder, tensor: str, constants: AddConstants) -> Residual:
    return Residual(builder.network.root(tensor), swap=False, constants=constants)


def _through(builder: Builder, x: str, table: LookupTable, name: str) -> str:
    """``x`` through a lookup table of the signed domain; itself where that changes nothing."""
    if is_identity(table):
        return x
    made = builder.intermediate(name, builder.network.shapes[builder.network.root(x)])
    builder.step(Copy(), x, made, Epilogue(lookup_table=table))
    return made


def _binary_lookup(builder: Builder, op: BinaryLookup) -> None:
    by_a = signed_lookup_table(op.table.T, builder.graph.tensors[op.a].dtype).T
    ordered = by_a if builder.shift(op.b) else np.roll(by_a, 128, axis=1)
    _expanded(builder, op, ordered.astype(np.int64))


def _expanded(builder: Builder, op: Add | Mul | BinaryLookup, table: PairTable) -> None:
    """Any function of two signed bytes: as many groups at a time as keep the expanded operands small."""
    found = expand(table)
    a, b = (builder.network.root(name) for name in (op.a, op.b))
    together = max(1, MOST_CHANNELS // builder.network.shapes[a][0])
    partial = None
    for first in range(0, found.groups, together):
        part = found.part(first, first + together)
        closes = first + together >= found.groups
        output = op.output if closes else builder.intermediate(f"{op.output}#sum", builder.network.shapes[a])
        partial = _add_groups(builder, (b, a) if found.swapped else (a, b), part, output, partial)


def _add_groups(builder: Builder, operands: tuple[str, str], part: Expansion, output: str, partial: str | None) -> str:
    """The sum of some groups, and of those before it, in four steps; returns ``output``."""
    channels, height, width = builder.network.shapes[operands[0]]
    chosen = np.repeat(np.arange(channels), part.groups)
    kept = builder.intermediate(f"{output}#kept", (len(chosen), height, width))
    expanded = []
    for x, rows in zip(operands, (part.masks, part.functions), strict=True):
        made = builder.intermediate(f"{output}#expanded", (len(chosen), height, width))
        builder.step(selection(chosen, channels, Taps()), x, made, Epilogue(lookup_table=np.tile(rows, (channels, 1))))
        expanded.append(made)
    builder.step(Copy(), expanded[0], kept, Epilogue(residual=Residual(expanded[1], swap=False, constants=SUPPRESS)))
    total = Convolution(
        weight=np.ones((channels, part.groups, 1, 1), np.int16),
        bias=np.full(channels, 128 * (part.groups - 1), np.int32), scale=np.ones(channels, np.float32), padding=0,
        zero_point=0, group=channels)
    residual = None if partial is None else Residual(partial, swap=False, constants=JOIN)
    builder.step(total, kept, output, Epilogue(residual=residual))
    return output


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
    builder.step(operation, op.x, op.output)


def _concat(builder: Builder, op: Concat) -> None:
    """Parts whose bytes do not change are stored in their place at once; the others are copied there."""
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
    """A copy through the lookup table; of a virtual concatenation, part by part through what both tables make."""
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


def _move(builder: Builder, op: Move) -> None:
    """A selection on the array. What lies outside x must come out of the lookup table as the fill value: where no byte of
    x could stand for it, the lookup table goes first, in a step of its own."""
    fill = int(to_signed(np.array([op.fill]).astype(builder.graph.tensors[op.output].dtype))[0])
    table = builder.lookup_table(op.table, op.x)
    source = op.x
    fills = bool(min(op.channels.min(), op.rows.min(), op.columns.min()) < 0)
    if table is not None and fills and not (table == fill).all(axis=0).any():
        source = builder.intermediate(f"{op.output}#table", builder.network.shapes[builder.network.root(op.x)])
        builder.step(Copy(), op.x, source, Epilogue(lookup_table=table))
        table = None
    padding = _stand_in(table, fill) if fills else 0
    builder.step(_selection(builder, op, padding), source, op.output, Epilogue(lookup_table=table))


def _stand_in(table: LookupTable | None, fill: int) -> int:
    """The byte that becomes ``fill`` in the lookup table."""
    return fill if table is None else int(np.flatnonzero((table == fill).all(axis=0))[0]) - 128


def _selection(builder: Builder, op: Move, padding: int) -> Convolution:
    channels, height, width = builder.network.shapes[builder.network.root(op.x)]
    rows, columns = (None, None) if op.swapped else (straight(op.rows, height), straight(op.columns, width))
    if rows is not None and columns is not None:
        taps = Taps(strides=(rows[1], columns[1]), origin=(rows[0], columns[0]))
        return selection(op.channels, channels, taps, padding)
    chosen = selection(op.channels, channels, Taps(), padding)
    return Rearrangement(**{f.name: getattr(chosen, f.name) for f in fields(chosen)}, rows=op.rows, columns=op.columns,
                         swapped=op.swapped)


LOWERINGS: dict[type[Op], Callable[[Builder, Any], None]] = {
    Conv: _conv, Add: _add, Mul: _mul, MaxPool: _max_pool, SumPool: _sum_pool, AveragePool: _average_pool, Concat: _concat,
    Lookup: _lookup, BinaryLookup: _binary_lookup, Clamp: _clamp, Move: _move, View: _view}

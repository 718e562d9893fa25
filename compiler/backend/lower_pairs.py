"""Lowers operations on two tensors: sums and products to the add unit, all other functions to an expansion."""

import numpy as np

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
from arrayloom.compiler.backend.network_builder import Builder
from arrayloom.compiler.backend.operations import Convolution, Copy, Taps, selection
from arrayloom.compiler.backend.wide import product_table, sum_table, wide_add, wide_product
from arrayloom.compiler.graph import Add, BinaryLookup, Mul


def lower_add(builder: Builder, op: Add) -> None:
    """Lowers a sum to one step; if the add unit cannot hold the constants, with lookup tables before, or to an expansion."""
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


def lower_mul(builder: Builder, op: Mul) -> None:
    """Lowers a product to one step, with a lookup table if most products are clamped, or else to an expansion."""
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
    """Adds a step that applies a lookup table of signed bytes to ``x``; returns its output, or ``x`` for an identity."""
    if is_identity(table):
        return x
    made = builder.intermediate(name, builder.network.shapes[builder.network.root(x)])
    builder.step(Copy(), x, made, Epilogue(lookup_table=table))
    return made


def lower_binary_lookup(builder: Builder, op: BinaryLookup) -> None:
    by_a = signed_lookup_table(op.table.T, builder.graph.tensors[op.a].dtype).T
    ordered = by_a if builder.shift(op.b) else np.roll(by_a, 128, axis=1)
    _expanded(builder, op, ordered.astype(np.int64))


def _expanded(builder: Builder, op: Add | Mul | BinaryLookup, table: PairTable) -> None:
    """Lowers any function of two signed bytes; groups are processed in parts, so that expanded operands stay small."""
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
    """Adds four steps that compute the sum of some groups and of ``partial``, the sum so far; returns ``output``."""
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

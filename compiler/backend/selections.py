"""Lowers movements to selections on the array: one, or two if columns should be moved before rows are repeated."""

from dataclasses import fields
from typing import Any

import numpy as np

from arrayloom.compiler.backend.lower.rearrangement import runs
from arrayloom.compiler.backend.operations import (
    Convolution,
    PixelRearrangement,
    Places,
    Rearrangement,
    Taps,
    selection,
    straight,
)
from arrayloom.compiler.graph import Move, MovePixels

WORTH_A_STEP = 4    # two steps must need this many times fewer runs than one, since the first also writes its result


def selections(op: Move | MovePixels, shape: tuple[int, int, int], padding: int) -> list[Convolution]:
    """Returns the successive operations that move a tensor of ``shape``, with ``padding`` outside of it."""
    if isinstance(op, MovePixels):
        chosen = selection(op.channels, shape[0], Taps(), padding)
        return [PixelRearrangement(**_own(chosen), places=op.places, source_width=shape[2])]
    if _columns_first(op, shape):
        rows = np.arange(shape[1], dtype=np.int32)
        first = Move(name=op.name, op_type=op.op_type, output=op.output, x=op.x, channels=op.channels, rows=rows,
                     columns=op.columns, table=op.table, fill=op.fill)
        same = np.arange(len(op.channels), dtype=np.int32)
        second = Move(name=op.name, op_type=op.op_type, output=op.output, x=op.x, channels=same, rows=op.rows,
                      columns=np.arange(len(op.columns), dtype=np.int32), table=op.table, fill=op.fill)
        return [_selection(first, shape, padding),
                _selection(second, (len(op.channels), shape[1], len(op.columns)), padding)]
    return [_selection(op, shape, padding)]


def _columns_first(op: Move, shape: tuple[int, int, int]) -> bool:
    """Whether it is better to move columns first, since rows are repeated and each needs many runs."""
    _, height, width = shape
    if op.swapped or (straight(op.rows, height) is not None and straight(op.columns, width) is not None):
        return False
    count = _count(op.columns)
    return count * len(op.rows) > WORTH_A_STEP * (count * height + len(op.rows))


def _count(places: Places) -> int:
    return sum(1 for _ in runs(places, len(places)))


def _selection(op: Move, shape: tuple[int, int, int], padding: int) -> Convolution:
    channels, height, width = shape
    rows, columns = (None, None) if op.swapped else (straight(op.rows, height), straight(op.columns, width))
    if rows is not None and columns is not None:
        taps = Taps(strides=(rows[1], columns[1]), origin=(rows[0], columns[0]))
        return selection(op.channels, channels, taps, padding)
    chosen = selection(op.channels, channels, Taps(), padding)
    return Rearrangement(**_own(chosen), rows=op.rows, columns=op.columns, swapped=op.swapped)


def _own(chosen: Convolution) -> dict[str, Any]:
    return {field.name: getattr(chosen, field.name) for field in fields(chosen)}

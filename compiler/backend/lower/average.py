"""Average pools: one set of thresholds for each number of elements that a window covers."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np

from arrayloom.compiler.backend.average import multiplier, thresholds
from arrayloom.compiler.backend.context import LoweringContext, Operands
from arrayloom.compiler.backend.lower.post import Piece, TableUse, add_post, load_parameters
from arrayloom.compiler.backend.lower.unary import window_fields, window_reads
from arrayloom.compiler.backend.lower.writer import Progress
from arrayloom.compiler.backend.parameters import threshold_entries
from arrayloom.compiler.backend.steps import Average, Step
from arrayloom.isa.instructions import THRESHOLDS, Pool, PoolKind

Run = tuple[int, int, int]      # first, length, elements


class Averager:
    """An average pool."""

    def __init__(self, context: LoweringContext, step: Step, operation: Average) -> None:
        self.context, self.step, self.operation = context, step, operation
        self.table = TableUse(context, step)

    def run(self, operands: Operands, blocks: range, first: int, last: int) -> Iterator[Progress]:
        pieces = self._pieces(operands.y.columns, first, last)
        for count in sorted({elements for elements, _ in pieces}):
            entries = threshold_entries(thresholds(self.operation, count), self.context.config)
            load_parameters(self.context, self.context.constants.add(entries), THRESHOLDS)
            index = -1
            for block in blocks:
                for piece in (piece for elements, piece in pieces if elements == count):
                    index = self._pool(operands, Piece(block, *piece))
            self.context.stream.items[index].fields["release_parameters"] = 1
        for block in blocks:
            yield Progress(block, last, 0, 0)

    def finish(self) -> None:
        self.table.release()

    def _pool(self, operands: Operands, piece: Piece) -> int:
        height = self.context.network.layouts[self.step.x].height
        low, high = self.operation.taps.source_rows(piece.y, piece.y + piece.height, height)
        self.context.fetch(self.step.x, high)
        own: dict[str, Any] = {"kind": PoolKind.AVERAGE, "multiplier": multiplier(self.operation),
                               "source_zero": self.operation.x_zero}
        own |= window_fields(self.operation.taps, operands.x, piece)
        reads = window_reads(operands.x, piece.block, low, high)
        return add_post(self.context, self.step, operands, piece, self.table, Pool, own, reads)

    def _pieces(self, columns: int, first: int, last: int) -> list[tuple[int, tuple[int, int, int, int]]]:
        """(elements, (y, x, height, width)) of rectangles whose windows cover equally many elements."""
        layout = self.context.network.layouts[self.step.x]
        kernel = self.operation.taps.kernel
        if self.operation.count_include_pad:
            return [(kernel[0] * kernel[1], (first, 0, last - first, columns))]
        return [(high * wide, (y, x, height, width))
                for y, height, high in self._runs(0, first, last, layout.height)
                for x, width, wide in self._runs(1, 0, columns, layout.width)]

    def _runs(self, axis: int, first: int, last: int, extent: int) -> Iterator[Run]:
        """Runs of outputs along an axis whose windows hold the same number of positions inside the source."""
        taps = self.operation.taps
        starts = taps.origin[axis] + np.arange(first, last) * taps.strides[axis]
        inside = np.minimum(starts + taps.kernel[axis], extent) - np.maximum(starts, 0)
        position = first
        for elements, group in groupby(inside.tolist()):
            length = len(list(group))
            yield position, length, elements
            position += length

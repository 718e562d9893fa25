"""Writers of steps of the POST unit alone: copies and pools."""

from collections.abc import Iterator
from itertools import groupby

import numpy as np

from arrayloom.compiler.backend.area import Area, Span
from arrayloom.compiler.backend.context import LoweringContext, Operands
from arrayloom.compiler.backend.lower.writer import Piece, Progress, Writer
from arrayloom.compiler.backend.operations import Average, Copy, DepthwiseConvolution, Maximum, Sum, Taps
from arrayloom.compiler.backend.parameters import multiplier, threshold_entries, thresholds, uniform_entries
from arrayloom.compiler.backend.steps import Step
from arrayloom.compiler.cost.busy import average_adds, average_search
from arrayloom.isa.config import Config
from arrayloom.isa.instructions import THRESHOLDS, Elementwise, Pool, PoolKind

Run = tuple[int, int, int]                  # first, length, elements
Rectangle = tuple[int, int, int, int]       # y, x, height, width


class Copier(Writer):
    """Writes a copy."""

    def run(self, operands: Operands, blocks: range, first: int, last: int) -> Iterator[Progress]:
        width = operands.y.columns
        self.context.fetch(self.step.x, last)
        for block in blocks:
            own = Elementwise(source=operands.x.word(block, first), source_pitch=operands.x.columns)
            reads = (operands.x.span(block, 1, first, last),)
            self.add_post(own, operands, Piece(block, first, 0, last - first, width), reads)
            cycles = (last - first) * width * pixel_cycles(self.context.config, self.step)
            yield Progress(block, last, cycles, cycles)


class Pooler(Writer):
    """Writes a maximum or sum pool."""

    def __init__(self, context: LoweringContext, operation: Maximum | Sum) -> None:
        super().__init__(context)
        self.operation = operation

    def run(self, operands: Operands, blocks: range, first: int, last: int) -> Iterator[Progress]:
        width = operands.y.columns
        height = self.context.network.layouts[self.step.x].height
        low, high = self.operation.taps.source_rows(first, last, height)
        self.context.fetch(self.step.x, high)
        for block in blocks:
            piece = Piece(block, first, 0, last - first, width)
            own = self._own(_window(self.operation.taps, operands.x, piece))
            self.add_post(own, operands, piece, _window_reads(operands.x, block, low, high))
            cycles = (last - first) * width * pixel_cycles(self.context.config, self.step)
            yield Progress(block, last, cycles, cycles)

    def _own(self, window: Pool) -> Pool:
        """Returns the instruction with its kind; for a sum, writes the load of its parameters too."""
        if not isinstance(self.operation, Sum):
            return window.changed(kind=PoolKind.MAXIMUM)
        entries = uniform_entries(self.operation.bias, self.operation.scale, self.context.config)
        self.load_parameters(self.context.constants.add(entries), self.context.config.groups)
        return window.changed(kind=PoolKind.SUM, zero_point=self.operation.zero_point, release_parameters=1)


class Averager(Writer):
    """Writes an average pool, with one set of thresholds for each number of elements that a window covers."""

    def __init__(self, context: LoweringContext, operation: Average) -> None:
        super().__init__(context)
        self.operation = operation

    def run(self, operands: Operands, blocks: range, first: int, last: int) -> Iterator[Progress]:
        rectangles = self._rectangles(operands.y.columns, first, last)
        for count in sorted({elements for elements, _ in rectangles}):
            entries = threshold_entries(thresholds(self.operation, count), self.context.config)
            self.load_parameters(self.context.constants.add(entries), THRESHOLDS)
            pieces = [Piece(block, *rectangle) for block in blocks
                      for elements, rectangle in rectangles if elements == count]
            for piece in pieces:
                self._pool(operands, piece, release=piece is pieces[-1])
        cycles = (last - first) * operands.y.columns * pixel_cycles(self.context.config, self.step)
        for block in blocks:
            yield Progress(block, last, cycles, cycles)

    def _pool(self, operands: Operands, piece: Piece, release: bool) -> None:
        """Writes one instruction; ``release`` marks the last one that uses the current thresholds."""
        height = self.context.network.layouts[self.step.x].height
        low, high = self.operation.taps.source_rows(piece.y, piece.y + piece.height, height)
        self.context.fetch(self.step.x, high)
        own = _window(self.operation.taps, operands.x, piece).changed(
            kind=PoolKind.AVERAGE, multiplier=multiplier(self.operation), source_zero=self.operation.x_zero,
            release_parameters=int(release))
        self.add_post(own, operands, piece, _window_reads(operands.x, piece.block, low, high))

    def _rectangles(self, columns: int, first: int, last: int) -> list[tuple[int, Rectangle]]:
        """Returns rectangles of outputs whose windows cover the same number of elements, with that number."""
        layout = self.context.network.layouts[self.step.x]
        kernel = self.operation.taps.kernel
        if self.operation.count_include_pad:
            return [(kernel[0] * kernel[1], (first, 0, last - first, columns))]
        return [(high * wide, (y, x, height, width))
                for y, height, high in self._runs(0, first, last, layout.height)
                for x, width, wide in self._runs(1, 0, columns, layout.width)]

    def _runs(self, axis: int, first: int, last: int, extent: int) -> Iterator[Run]:
        """Yields runs of outputs along an axis whose windows have the same number of positions inside the source."""
        taps = self.operation.taps
        starts = taps.origin[axis] + np.arange(first, last) * taps.strides[axis]
        inside = np.minimum(starts + taps.kernel[axis], extent) - np.maximum(starts, 0)
        position = first
        for elements, group in groupby(inside.tolist()):
            length = len(list(group))
            yield position, length, elements
            position += length


def pixel_cycles(config: Config, step: Step) -> int:
    """Estimates the POST unit's cycles for one pixel of a channel block: its groups, and the taps of a pool."""
    taps = step.operation.taps.kernel[0] * step.operation.taps.kernel[1]
    if isinstance(step.operation, Average):
        return average_adds(taps, config.groups) + average_search(config.groups) + config.groups
    return config.groups + (0 if isinstance(step.operation, Copy | DepthwiseConvolution) else taps)


def _window(taps: Taps, x: Area, piece: Piece) -> Pool:
    """Returns a pool instruction with the fields of its window's movement."""
    return Pool(
        source=x.word(piece.block, x.top), row_pitch=x.columns, source_height=x.rows, source_width=x.columns,
        origin_y=taps.origin[0] + piece.y * taps.strides[0] - x.top, origin_x=taps.origin[1] + piece.x * taps.strides[1],
        stride_y=taps.strides[0], stride_x=taps.strides[1], dilation_y=taps.dilations[0], dilation_x=taps.dilations[1],
        taps_y=taps.kernel[0], taps_x=taps.kernel[1])


def _window_reads(x: Area, block: int, low: int, high: int) -> tuple[Span, ...]:
    return (x.span(block, 1, low, high),) if high > low else ()

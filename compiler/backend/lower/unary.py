"""Steps that the POST unit does alone: copies, maximum and sum pools."""

from collections.abc import Iterator
from typing import Any

from arrayloom.compiler.backend.area import Area, Span
from arrayloom.compiler.backend.context import LoweringContext, Operands
from arrayloom.compiler.backend.lower.post import Piece, TableUse, add_post, load_parameters
from arrayloom.compiler.backend.lower.writer import Progress
from arrayloom.compiler.backend.parameters import uniform_entries
from arrayloom.compiler.backend.steps import Copy, Maximum, Step, Sum, Taps
from arrayloom.isa.config import Config
from arrayloom.isa.instructions import Elementwise, Pool, PoolKind


class Copier:
    """A pass over scratchpad."""

    def __init__(self, context: LoweringContext, step: Step) -> None:
        self.context, self.step, self.table = context, step, TableUse(context, step)

    def run(self, operands: Operands, blocks: range, first: int, last: int) -> Iterator[Progress]:
        width = operands.y.columns
        self.context.fetch(self.step.x, last)
        for block in blocks:
            own = {"source": operands.x.word(block, first), "source_pitch": operands.x.columns}
            reads = (operands.x.span(block, 1, first, last),)
            piece = Piece(block, first, 0, last - first, width)
            add_post(self.context, self.step, operands, piece, self.table, Elementwise, own, reads)
            cycles = (last - first) * width * pixel_cycles(self.context.config, self.step)
            yield Progress(block, last, cycles, cycles)

    def finish(self) -> None:
        self.table.release()


class Pooler:
    """A maximum or sum pool."""

    def __init__(self, context: LoweringContext, step: Step, operation: Maximum | Sum) -> None:
        self.context, self.step, self.operation = context, step, operation
        self.table = TableUse(context, step)

    def run(self, operands: Operands, blocks: range, first: int, last: int) -> Iterator[Progress]:
        width = operands.y.columns
        height = self.context.network.layouts[self.step.x].height
        low, high = self.operation.taps.source_rows(first, last, height)
        self.context.fetch(self.step.x, high)
        for block in blocks:
            piece = Piece(block, first, 0, last - first, width)
            own = window_fields(self.operation.taps, operands.x, piece) | self._own()
            reads = window_reads(operands.x, block, low, high)
            add_post(self.context, self.step, operands, piece, self.table, Pool, own, reads)
            cycles = (last - first) * width * pixel_cycles(self.context.config, self.step)
            yield Progress(block, last, cycles, cycles)

    def finish(self) -> None:
        self.table.release()

    def _own(self) -> dict[str, Any]:
        """Kind of the pool; a sum gets its parameters."""
        if not isinstance(self.operation, Sum):
            return {"kind": PoolKind.MAXIMUM}
        entries = uniform_entries(self.operation.bias, self.operation.scale, self.context.config)
        load_parameters(self.context, self.context.constants.add(entries), self.context.config.groups)
        return {"kind": PoolKind.SUM, "zero_point": self.operation.zero_point, "release_parameters": 1}


def pixel_cycles(config: Config, step: Step) -> int:
    """Cycles of the POST unit for one pixel of a block, about: its lanes, and the taps of a pool."""
    kernel = step.operation.taps.kernel
    return config.groups + (0 if isinstance(step.operation, Copy) else kernel[0] * kernel[1])


def window_fields(taps: Taps, x: Area, piece: Piece) -> dict[str, Any]:
    """The fields of a Pool that say where its window goes."""
    return {
        "source": x.word(piece.block, x.top), "row_pitch": x.columns, "source_height": x.rows,
        "source_width": x.columns, "origin_y": taps.origin[0] + piece.y * taps.strides[0] - x.top,
        "origin_x": taps.origin[1] + piece.x * taps.strides[1], "stride_y": taps.strides[0],
        "stride_x": taps.strides[1], "dilation_y": taps.dilations[0], "dilation_x": taps.dilations[1],
        "taps_y": taps.kernel[0], "taps_x": taps.kernel[1]}


def window_reads(x: Area, block: int, low: int, high: int) -> tuple[Span, ...]:
    return (x.span(block, 1, low, high),) if high > low else ()

"""Rearrangements: output rows one by one, each in runs of pixels that one Convolve can find in the source.

A Convolve sees the pixels of a source row as a column of pixels one word wide. To the right of each it finds the pixel
itself again where its columns do not advance (repetition), or padding where they do (insertion).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from arrayloom.compiler.backend.area import Area
from arrayloom.compiler.backend.context import LoweringContext, Operands
from arrayloom.compiler.backend.lower.convolution import Convolver, Window
from arrayloom.compiler.backend.lower.post import Piece
from arrayloom.compiler.backend.lower.writer import Progress
from arrayloom.compiler.backend.places import Run, runs
from arrayloom.compiler.backend.steps import Rearrangement, Step

OUTSIDE = 1     # a column beyond a source of width 1


class Rearranger(Convolver):
    """The instructions of one rearrangement."""

    def __init__(self, context: LoweringContext, step: Step, operation: Rearrangement) -> None:
        super().__init__(context, step, operation)
        self.rearrangement = operation
        self.runs = list(runs(operation.columns, context.config.accumulator_depth))
        self.nothing = list(runs(np.full_like(operation.columns, -1), context.config.accumulator_depth))

    def run(self, operands: Operands, blocks: range, first: int, last: int) -> Iterator[Progress]:
        rows, by_block = range(first, last), self.step.per_channel_table
        order = ((row, block) for block in blocks for row in rows) if by_block else (
            (row, block) for row in rows for block in blocks)
        for row, block in order:
            source = int(self.rearrangement.rows[row])
            for run in self.runs if source >= 0 else self.nothing:
                piece = Piece(block, row, run.first, 1, run.pixels)
                self.group(operands, piece, self._window(operands.x, row, source, run))
                closes = run.first + run.pixels == operands.y.columns
                yield self.progress(piece, row + 1 if closes else row)

    def _window(self, x: Area, row: int, source: int, run: Run) -> Window:
        """The run's pixels, in a source whose rows are the pixels of row, or column, ``source``."""
        swapped = self.rearrangement.swapped
        low, high = self.operation.source_rows(row, row + 1, self.source_height)
        extent, pitch = (x.rows, x.columns) if swapped else (x.columns, 1)
        begin = x.top if swapped or source < 0 else source
        fields: dict[str, Any] = {
            "row_pitch": pitch, "source_height": extent, "source_width": 1,
            "origin_y": max(run.source, 0) - (x.top if swapped else 0), "stride_y": run.step, "height": run.count,
            "width": run.period, "stride_x": 0 if run.phase is None else 1, "origin_x": -(run.phase or 0),
            "dilation_y": 1, "dilation_x": 1, "taps_y": 1, "taps_x": 1}
        if run.source < 0 or source < 0:
            fields |= {"origin_x": OUTSIDE, "origin_y": 0, "stride_y": 0}
        return Window(low, high, begin, source if swapped and source >= 0 else 0, fields)

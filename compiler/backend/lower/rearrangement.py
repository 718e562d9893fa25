"""Writers of rearrangements: each output row is divided into runs of pixels that one Convolve can read from the source.

The Convolve reads a source row as a column of pixels with width 1. With a horizontal stride of 0 it repeats each pixel; with
stride 1 it reads padding to the right of each, which inserts pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from arrayloom.compiler.backend.area import Area
from arrayloom.compiler.backend.context import LoweringContext, Operands
from arrayloom.compiler.backend.lower.convolution import Convolver, Window
from arrayloom.compiler.backend.lower.writer import Piece, Progress
from arrayloom.compiler.backend.operations import LARGEST_STRIDE, PixelRearrangement, Places, Rearrangement
from arrayloom.isa.instructions import Convolve

OUTSIDE = 1     # a column outside a source of width 1: reads padding
LONGEST_PERIOD = 8


class Rearranger(Convolver):
    """Writes the instructions of a rearrangement of rows and columns."""

    def __init__(self, context: LoweringContext, operation: Rearrangement) -> None:
        super().__init__(context, operation)
        self.rearrangement = operation
        self.runs = list(runs(operation.columns, context.config.accumulator_depth))
        self.nothing = list(runs(np.full_like(operation.columns, -1), context.config.accumulator_depth))

    def run(self, operands: Operands, blocks: range, first: int, last: int) -> Iterator[Progress]:
        rows, by_block = range(first, last), self.step.epilogue.per_channel
        order = ((row, block) for block in blocks for row in rows) if by_block else (
            (row, block) for row in rows for block in blocks)
        for row, block in order:
            source = int(self.rearrangement.rows[row])
            for run in self.runs if source >= 0 else self.nothing:
                piece = Piece(block, row, run.first, 1, run.pixels)
                closes = run.first + run.pixels == operands.y.columns
                window = self._window(operands.x, row, source, run)
                yield from self.write_piece(operands, piece, window, row + 1 if closes else row)

    def _window(self, x: Area, row: int, source: int, run: "Run") -> Window:
        """Returns the window of a run in row ``source`` of x, or in column ``source`` if rows and columns are swapped."""
        swapped = self.rearrangement.swapped
        low, high = self.operation.source_rows(row, row + 1, self.source_height)
        extent, pitch = (x.rows, x.columns) if swapped else (x.columns, 1)
        begin = x.top if swapped or source < 0 else source
        view = Convolve(
            row_pitch=pitch, source_height=extent, source_width=1,
            origin_y=max(run.source, 0) - (x.top if swapped else 0), origin_x=-(run.phase or 0), stride_y=run.step,
            stride_x=0 if run.phase is None else 1, height=run.count, width=run.period)
        if run.source < 0 or source < 0:
            view = view.changed(origin_x=OUTSIDE, origin_y=0, stride_y=0)
        return Window(low, high, begin, source if swapped and source >= 0 else 0, view)


class PixelRearranger(Convolver):
    """Writes the instructions of a rearrangement of pixels; all pixels of the source are read as one column."""

    def __init__(self, context: LoweringContext, operation: PixelRearrangement) -> None:
        super().__init__(context, operation)
        self.rearrangement = operation
        self.runs = [list(runs(row, context.config.accumulator_depth)) for row in operation.places]

    def run(self, operands: Operands, blocks: range, first: int, last: int) -> Iterator[Progress]:
        rows, by_block = range(first, last), self.step.epilogue.per_channel
        order = ((row, block) for block in blocks for row in rows) if by_block else (
            (row, block) for row in rows for block in blocks)
        for row, block in order:
            for run in self.runs[row]:
                piece = Piece(block, row, run.first, 1, run.pixels)
                closes = run.first + run.pixels == operands.y.columns
                yield from self.write_piece(operands, piece, self._window(operands.x, row, run), row + 1 if closes else row)

    def _window(self, x: Area, row: int, run: "Run") -> Window:
        """Returns the window of a run, in a column that begins with the run's first pixel."""
        low, high = self.rearrangement.source_rows(row, row + 1, self.source_height)
        view = Convolve(
            row_pitch=1, source_height=(run.count - 1) * run.step + 1, source_width=1, origin_x=-(run.phase or 0),
            stride_y=run.step, stride_x=0 if run.phase is None else 1, height=run.count, width=run.period)
        if run.source < 0:
            return Window(low, high, x.top, 0, view.changed(origin_x=OUTSIDE, stride_y=0))
        return Window(low, high, *divmod(run.source, self.rearrangement.source_width), view)


@dataclass(frozen=True)
class Run:
    """A run of places [first, first + pixels): ``count`` periods of ``period`` places each.

    Period i refers to source ``source + i * step``, in all its places or, with ``phase``, only in that one, and its others
    are -1. A run that is -1 throughout has source -1.
    """

    first: int
    count: int
    period: int
    source: int
    step: int
    phase: int | None = None

    @property
    def pixels(self) -> int:
        return self.count * self.period


def runs(places: Places, most: int) -> Iterator[Run]:
    """Yields runs of at most ``most`` pixels that cover the places; each is the longest one possible at its start."""
    first = 0
    while first < len(places):
        best = max(_candidates(places[first:first + most], first), key=lambda run: run.pixels)
        yield best
        first += best.pixels


def _candidates(places: Places, first: int) -> Iterator[Run]:
    """Yields the runs that begin with the first of these places, short periods first."""
    missing = int(np.argmax(places >= 0)) if (places >= 0).any() else len(places)
    if missing:
        yield Run(first, missing, 1, -1, 0)
    for period in range(1, min(LONGEST_PERIOD, len(places)) + 1):
        phases = [None] if period == 1 else [None, *range(period)]
        for phase in phases:
            run = _periodic(places, first, period, phase)
            if run is not None:
                yield run


def _periodic(places: Places, first: int, period: int, phase: int | None) -> Run | None:
    """Returns the longest run with this period and phase, or None if not even one period fits."""
    rows = places[:len(places) // period * period].reshape(-1, period)
    sources = rows[:, phase or 0]
    expected = np.full_like(rows, -1) if phase is not None else np.repeat(sources[:, np.newaxis], period, axis=1)
    if phase is not None:
        expected[:, phase] = sources
    step = int(sources[1] - sources[0]) if len(sources) > 1 else 0
    step = step if 0 <= step <= LARGEST_STRIDE else 0
    even = sources == sources[0] + np.arange(len(sources)) * step
    fits = (rows == expected).all(axis=1) & (sources >= 0) & even
    count = int(np.argmin(fits)) if not fits.all() else len(fits)
    return Run(first, count, period, int(sources[0]), step, phase) if count else None

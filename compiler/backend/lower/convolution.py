"""The writer of convolutions: weights, parameters, Convolve and Drain for each channel block of each region."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from arrayloom.compiler.backend.area import Area, Streamed
from arrayloom.compiler.backend.context import LoweringContext, Operands
from arrayloom.compiler.backend.dependencies import NEVER
from arrayloom.compiler.backend.image import Section
from arrayloom.compiler.backend.layouts import read_slots
from arrayloom.compiler.backend.lower.writer import Piece, Progress, Writer
from arrayloom.compiler.backend.operations import Convolution
from arrayloom.compiler.backend.parameters import channel_entries
from arrayloom.compiler.backend.row_tiles import Region, cut_regions
from arrayloom.compiler.backend.stream import Effects
from arrayloom.compiler.backend.weights import BlockWeights, TileRun, arrange
from arrayloom.isa.instructions import Convolve, Drain, LoadWeights


@dataclass(frozen=True)
class Window:
    """What a Convolve reads: source rows [low, high).

    ``view`` is an instruction with the fields of the window's movement for tap 0; its origin is relative to the pixel at
    ``row`` and ``column``.
    """

    low: int
    high: int
    row: int
    column: int
    view: Convolve


class Convolver(Writer):
    """Writes the instructions of one convolution step; its constants are added to the program once."""

    def __init__(self, context: LoweringContext, operation: Convolution) -> None:
        super().__init__(context)
        self.operation = operation
        self.by_block = self.step.epilogue.per_channel      # all regions of a block first: each table page is loaded once
        network, config = context.network, context.config
        source, target = network.layouts[self.step.x], network.layouts[self.step.output]
        self.target = target
        self.weights = arrange(operation, read_slots(network, self.step.x), target.slots(), source.blocks, target.blocks,
                               config.size)
        self.weights_address = context.constants.add(self.weights.data)
        self.parameters_address = context.constants.add(
            channel_entries(operation.bias, operation.scale, target.slots(), target.blocks, config))

    def run(self, operands: Operands, blocks: range, first: int, last: int) -> Iterator[Progress]:
        for region, block in self.pieces(blocks, first, last):
            yield from self.write_region(operands, region, block)

    def write_region(self, operands: Operands, region: Region, block: int) -> Iterator[Progress]:
        """Writes weights, parameters, Convolve and Drain of one channel block of a region."""
        piece = Piece(block, region.y, region.x, region.height, region.width)
        rows = region.y + region.height if region.closes_rows else region.y
        yield from self.write_piece(operands, piece, self._region_window(operands.x, region), rows)

    def pieces(self, blocks: range, first: int, last: int) -> list[tuple[Region, int]]:
        """Returns pairs of a region and a channel block in the order in which they are written."""
        regions = list(self._regions(first, last))
        if self.by_block:
            return [(region, block) for block in blocks for region in regions]
        return list(product(regions, blocks))

    def _regions(self, first: int, last: int) -> Iterator[Region]:
        """Yields the regions of the output, which are single rows if parts of the source are enlarged."""
        scales = self.context.network.scales.get(self.step.x, ())
        if all(scale == (1, 1) for scale in scales):
            yield from cut_regions(first, last, self.target.width, self.context.config.accumulator_depth)
        else:
            yield from (Region(row, 0, 1, self.target.width, closes_rows=True) for row in range(first, last))

    @property
    def source_height(self) -> int:
        return self.context.network.layouts[self.step.x].rows

    def progress(self, piece: Piece, rows: int) -> Progress:
        """Returns the progress after ``piece`` is written, and with it ``rows`` rows of its block."""
        size, pixels = self.context.config.size, piece.height * piece.width
        words = self.weights.blocks[piece.block].size // size
        cycles = words // size * max(pixels, size)
        return Progress(piece.block, rows, cycles, pixels * self.context.config.groups, words)

    def write_piece(self, operands: Operands, piece: Piece, window: Window, rows: int) -> Iterator[Progress]:
        """Writes weights, parameters, Convolve and Drain of one piece; then ``rows`` rows of its block are written."""
        groups, block = self.context.config.groups, piece.block
        self.context.fetch(self.step.x, window.high)
        tiles, x = self.weights.blocks[block], operands.x
        if self.parameters_first:
            self.load_parameters(self.parameters_address, groups, block * groups)
        if isinstance(x, Streamed):
            done = self._stream(x, window, tiles)
        else:
            self._load_weights(tiles.offset, tiles.size)
            for run in tiles.runs:
                for part in x.parts(run.first, run.blocks):
                    done = self._convolve(part, window, tiles, run)
        progress = self.progress(piece, rows)
        yield replace(progress, written=False)
        if not self.parameters_first:
            self.load_parameters(self.parameters_address, groups, block * groups)
        drain = Drain(zero_point=self.operation.zero_point, release_parameters=1)
        self.add_post(drain, operands, piece, after=done)
        yield progress

    def _stream(self, x: Streamed, window: Window, tiles: BlockWeights) -> int:
        """Writes the product of a streamed source, part by part.

        Each part is loaded before its weights, since weights that fill their FIFO would block the load.
        """
        index = NEVER
        for run in tiles.runs:
            each = run.size // run.blocks
            for part in x.parts(run.first, run.blocks):
                if window.high > window.low:
                    self.context.load(self.step.x, part, part.block, part.blocks, window.low, window.high)
                self._load_weights(run.offset + (part.block - run.first) * each, part.blocks * each)
                index = self._convolve(part, window, tiles, run)
        return index

    def _load_weights(self, offset: int, size: int) -> None:
        """Writes the load of ``size`` bytes of tiles from ``offset`` in the weights."""
        load = LoadWeights(address=self.weights_address + offset, words=size // self.context.config.size)
        self.context.add(load, section=Section.CONSTANTS)

    def _convolve(self, x: Area, window: Window, tiles: BlockWeights, run: TileRun) -> int:
        """Writes one Convolve for the blocks of a run in ``x``, or two if the last blocks are still being written, so that
        the others need not wait for them."""
        low, high = window.low // x.scale[0], -(-window.high // x.scale[0])
        view, word = _seen(x, window)
        ready = self._ready_blocks(x, x.block, x.blocks, low, high)
        cuts = [(0, ready), (ready, x.blocks - ready)] if 0 < ready < x.blocks else [(0, x.blocks)]
        index = NEVER
        for start, count in cuts:
            block = x.block + start
            convolve = view.changed(
                source=word + start * x.plane, plane_pitch=x.plane, blocks=count,
                origin_y=view.origin_y + run.rows[0] * view.dilation_y, taps_y=run.rows[1] - run.rows[0],
                origin_x=view.origin_x + run.columns[0] * view.dilation_x, taps_x=run.columns[1] - run.columns[0],
                repeats=self.weights.repeats, padding=self.operation.padding,
                first=int(run is tiles.runs[0] and block == run.first),
                last=int(run is tiles.runs[-1] and block + count == run.first + run.blocks))
            reads = (x.span(block, count, low, high),) if high > low else ()
            index = self.context.add(convolve, Effects(reads))
        return index

    def _ready_blocks(self, x: Area, block: int, blocks: int, low: int, high: int) -> int:
        """Returns the number of leading blocks that are complete before the last one is."""
        if high == low or blocks == 1:
            return blocks
        writers = self.context.stream.in_flight(x.span(block, blocks, low, high))
        latest = writers.max()
        return blocks if latest == NEVER else int((writers == latest).argmax())

    def _region_window(self, x: Area, region: Region) -> Window:
        taps = self.operation.taps
        low, high = taps.source_rows(region.y, region.y + region.height, self.source_height)
        view = Convolve(
            row_pitch=x.columns, source_height=x.rows, source_width=x.columns,
            origin_y=taps.origin[0] + region.y * taps.strides[0] - x.top,
            origin_x=taps.origin[1] + region.x * taps.strides[1], height=region.height, width=region.width,
            stride_y=taps.strides[0], stride_x=taps.strides[1], dilation_y=taps.dilations[0],
            dilation_x=taps.dilations[1])
        return Window(low, high, x.top, 0, view)


def _seen(x: Area, window: Window) -> tuple[Convolve, int]:
    """Returns a Convolve with the fields for reading an area through a window, and the word that they are relative to.

    A row of an enlarged area is read as a column of pixels with width 1; a horizontal stride of 0 repeats each pixel.
    """
    if x.scale == (1, 1):
        return window.view, x.word(x.block, window.row, window.column)
    view = window.view.changed(row_pitch=1, source_height=x.columns, source_width=1, origin_y=0,
                               origin_x=0, height=x.columns, width=x.scale[1], stride_y=1, stride_x=0)
    return view, x.word(x.block, window.low // x.scale[0])

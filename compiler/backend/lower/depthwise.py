"""The writer of depthwise convolutions: the kernel of the step, then Depthwise, parameters and drain of each piece."""

from collections.abc import Iterator

from arrayloom.compiler.backend.area import Span
from arrayloom.compiler.backend.context import LoweringContext, Operands
from arrayloom.compiler.backend.depthwise import arrange_kernel, kernel_words, taps_of
from arrayloom.compiler.backend.image import Section
from arrayloom.compiler.backend.lower.writer import Piece, Progress, Writer
from arrayloom.compiler.backend.operations import DepthwiseConvolution
from arrayloom.compiler.backend.parameters import channel_entries
from arrayloom.compiler.backend.row_tiles import cut_regions, rows_per_region
from arrayloom.compiler.backend.stream import Effects
from arrayloom.isa.instructions import Depthwise, DrainDepthwise, LoadActivations


class DepthwiseConvolver(Writer):
    """Writes the instructions of one depthwise step; its kernel is loaded once.

    The drain of a piece is written after the next piece has begun, so that its sums are complete when the POST unit reads
    them.
    """

    def __init__(self, context: LoweringContext, operation: DepthwiseConvolution) -> None:
        super().__init__(context)
        self.operation = operation
        network, config, convolution = context.network, context.config, operation.on_array
        self.layout = network.layouts[self.step.output]
        slots, blocks = self.layout.slots(), self.layout.blocks
        self.taps = taps_of(operation)
        self._kernel_address = context.constants.add(arrange_kernel(operation, slots, blocks, config.size))
        self._kernel = Span(context.placement.kernels[self.step.output], kernel_words(network, self.step))
        self._kernel_is_there = False
        self._parameters = context.constants.add(
            channel_entries(convolution.bias, convolution.scale, slots, blocks, config))
        self._waiting: list[tuple[Operands, Piece, int]] = []    # pieces that have begun and are not drained

    @property
    def region_rows(self) -> int:
        """The output rows of one instruction."""
        return rows_per_region(self.layout.width, self.context.config.accumulator_depth)

    def run(self, operands: Operands, blocks: range, first: int, last: int) -> Iterator[Progress]:
        for block in blocks:
            for region in cut_regions(first, last, self.layout.width, self.context.config.accumulator_depth):
                self.begin(operands, Piece(block, region.y, region.x, region.height, region.width))
                yield from self.drain(1)
        yield from self.drain(0)

    def begin(self, operands: Operands, piece: Piece) -> None:
        """Writes the instruction that computes the sums of a piece."""
        self._load_kernel()
        taps, x = self.operation.taps, operands.x
        height = self.context.network.layouts[self.step.x].height
        low, high = taps.source_rows(piece.y, piece.y + piece.height, height)
        self.context.fetch(self.step.x, high)
        kernel = Span(self._kernel.start + piece.block * self.taps, self.taps)
        instruction = Depthwise(
            source=x.word(piece.block, x.top), row_pitch=x.columns, source_height=x.rows, source_width=x.columns,
            origin_y=taps.origin[0] + piece.y * taps.strides[0] - x.top,
            origin_x=taps.origin[1] + piece.x * taps.strides[1], height=piece.height, width=piece.width,
            stride_y=taps.strides[0], stride_x=taps.strides[1], dilation_y=taps.dilations[0],
            dilation_x=taps.dilations[1], taps_y=taps.kernel[0], taps_x=taps.kernel[1],
            repeats=self.taps // (taps.kernel[0] * taps.kernel[1]), padding=self.operation.on_array.padding,
            weights=kernel.start)
        reads = (kernel, x.span(piece.block, 1, low, high)) if high > low else (kernel,)
        self._waiting.append((operands, piece, self.context.add(instruction, Effects(reads))))

    def drain(self, left: int) -> Iterator[Progress]:
        """Writes the drains of the pieces that have begun, except the last ``left``."""
        while len(self._waiting) > left:
            operands, piece, filled = self._waiting.pop(0)
            groups = self.context.config.groups
            self.load_parameters(self._parameters, groups, piece.block * groups)
            own = DrainDepthwise(zero_point=self.operation.on_array.zero_point, release_parameters=1)
            self.add_post(own, operands, piece, after=filled)
            rows = piece.y + (piece.height if piece.x + piece.width == self.layout.width else 0)
            pixels = piece.height * piece.width
            yield Progress(piece.block, rows, pixels * max(groups, self.taps), pixels * groups)

    def _load_kernel(self) -> None:
        if not self._kernel_is_there:
            load = LoadActivations(address=self._kernel_address, destination=self._kernel.start, words=self._kernel.words,
                                   rows=1)
            self.context.add(load, Effects(writes=(self._kernel,)), section=Section.CONSTANTS)
            self._kernel_is_there = True

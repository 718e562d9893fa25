"""Writers of softmax and layer normalization, whose results the POST unit drains from the ATTENTION unit's banks."""

from collections.abc import Iterator

import numpy as np

from arrayloom.compiler.backend.area import Span
from arrayloom.compiler.backend.attention import NormOperation, SoftmaxOperation
from arrayloom.compiler.backend.context import LoweringContext, Operands
from arrayloom.compiler.backend.lower.attention import AttentionWriter, cut
from arrayloom.compiler.backend.lower.writer import Piece, Progress
from arrayloom.compiler.backend.parameters import channel_entries, uniform_entries
from arrayloom.compiler.backend.stream import Effects
from arrayloom.isa.instructions import DrainAttention, Moments, Normalize, Softmax


class SoftmaxWriter(AttentionWriter):
    """Writes a softmax, row by row for each block of queries."""

    def __init__(self, context: LoweringContext, operation: SoftmaxOperation) -> None:
        super().__init__(context)
        self.operation = operation
        self.parameters = context.constants.add(uniform_entries(0, np.float32(1), context.config))
        self._loaded = False

    def run(self, operands: Operands, blocks: range, first: int, last: int) -> Iterator[Progress]:
        width = operands.x.columns
        self.context.fetch(self.step.x, last)
        for block in blocks:
            for row in range(first, last):
                piece = Piece(block, row, 0, 1, width)
                self.write_piece(operands, piece)
                yield self.progress(piece, row + 1, 3 * width * self.size // self.context.config.attention_lanes)

    def write_piece(self, operands: Operands, piece: Piece) -> None:
        """Writes the softmax of one row of a block."""
        if not self._loaded:
            self.load_room(np.frombuffer(self.operation.table.astype("<f4").tobytes(), np.uint8))
            self._loaded = True
        source = operands.x.span(piece.block, 1, piece.y, piece.y + 1)
        softmax = Softmax(source=source.start, width=piece.width, table=self.room.start, factor=self.operation.factor)
        done = self.context.add(softmax, Effects(reads=(source, self.room)))
        self.load_parameters(self.parameters, self.context.config.groups)
        drain = DrainAttention(zero_point=self.operation.zero_point, release_parameters=1)
        self.add_post(drain, operands, piece, after=done)


class NormWriter(AttentionWriter):
    """Writes a normalization: for each range of pixels its moments, then the normalization of each channel block."""

    def __init__(self, context: LoweringContext, operation: NormOperation) -> None:
        super().__init__(context)
        self.operation = operation
        layout = context.network.layouts[self.step.output]
        self.layout = layout
        self.parameters = context.constants.add(
            channel_entries(operation.bias, operation.scale, layout.slots(), layout.blocks, context.config))
        self._loaded = False

    def run(self, operands: Operands, blocks: range, first: int, last: int) -> Iterator[Progress]:
        config, x, size = self.context.config, operands.x, self.size
        if not self._loaded:
            signs = np.zeros(self.room.words * size, np.int8)
            signs[self.layout.slots()] = self.operation.weight
            self.load_room(signs.view(np.uint8))
            self._loaded = True
        self.context.fetch(self.step.x, last)
        pieces = [(row, low, high) for row in range(first, last) for low, high in cut(x.columns, config.accumulator_depth)]
        for row, low, high in pieces:
            width = high - low
            source = Span(x.word(0, row, low), width, blocks=x.blocks, block_pitch=x.plane)
            moments = Moments(source=source.start, plane_pitch=x.plane, blocks=x.blocks, channels=self.layout.channels,
                              width=width, epsilon=self.operation.epsilon)
            self.context.add(moments, Effects(reads=(source,)))
            for block in blocks:
                part, signs_of = Span(x.word(block, row, low), width), Span(self.room.start + block, 1)
                normalize = Normalize(source=part.start, width=width, signs=signs_of.start)
                done = self.context.add(normalize, Effects(reads=(part, signs_of)))
                self.load_parameters(self.parameters, config.groups, block * config.groups)
                piece = Piece(block, row, low, 1, width)
                drain = DrainAttention(zero_point=self.operation.zero_point, release_parameters=1)
                self.add_post(drain, operands, piece, after=done)
                yield self.progress(piece, row + (high == x.columns), width * size // config.attention_lanes)

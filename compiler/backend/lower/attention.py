"""Writers of products of two activations: the ATTENTION unit feeds one of them to the weight FIFO."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.backend.area import Area, Span
from arrayloom.compiler.backend.attention import (
    TURNED,
    AttentionOperation,
    MixtureOperation,
    ProductOperation,
    ScoresOperation,
    room_of,
    turned_blocks,
)
from arrayloom.compiler.backend.context import LoweringContext, Operands
from arrayloom.compiler.backend.image import Section
from arrayloom.compiler.backend.lower.writer import Piece, Progress, Writer
from arrayloom.compiler.backend.parameters import uniform_entries
from arrayloom.compiler.backend.stream import Effects
from arrayloom.isa.instructions import (
    CentredConvolve,
    Drain,
    FeedWeights,
    LoadActivations,
    Turn,
)

Range = tuple[int, int]     # first, end


def cut(count: int, most: int) -> Iterator[Range]:
    """Yields [first, end) of ranges of similar length, at most ``most``, that cover [0, count)."""
    pieces = -(-count // most)
    for index in range(pieces):
        yield count * index // pieces, count * (index + 1) // pieces


class AttentionWriter(Writer):
    """Base of the writers of attention, which need scratchpad words (``room``) in addition to their tensors."""

    def __init__(self, context: LoweringContext) -> None:
        super().__init__(context)
        self.size = context.config.size
        self.room = Span(context.placement.kernels.get(self.step.output, 0),
                         room_of(context.network, self.step, self.size))

    def load_room(self, data: NDArray[np.uint8]) -> None:
        """Loads constants into the room."""
        load = LoadActivations(address=self.context.constants.add(data), destination=self.room.start,
                               words=self.room.words, rows=1)
        self.context.add(load, Effects(writes=(self.room,)), section=Section.CONSTANTS)

    def whole(self, operation: AttentionOperation) -> Area:
        """Returns the area of the operation's second tensor."""
        return self.context.area(operation.others[0])

    def progress(self, piece: Piece, rows: int, cycles: int) -> Progress:
        return Progress(piece.block, rows, cycles, piece.height * piece.width * self.context.config.groups)


class ProductWriter(AttentionWriter):
    """Base of the writers of products of two activations."""

    def __init__(self, context: LoweringContext, operation: ProductOperation) -> None:
        super().__init__(context)
        self.product = operation
        self.parameters = context.constants.add(uniform_entries(0, operation.scale, context.config))

    def fetch_operands(self) -> None:
        """Loads what is multiplied, where that is an input of the network."""
        for name in (self.step.x, self.product.weights):
            self.context.fetch(name, self.context.network.layouts[name].height)

    def feed(self, word: int, words: int, pitch: int, tiles: int, turned: bool) -> None:
        """Feeds ``tiles`` tiles of ``words`` words each to the weight FIFO; they begin ``pitch`` words apart at ``word``."""
        reads = Span(word, words, rows=tiles, row_pitch=pitch)
        self.context.add(FeedWeights(source=word, pitch=pitch, tiles=tiles, rows=words, turned=int(turned),
                                     zero=self.product.weight_zero), Effects(reads=(reads,)))

    def feed_rows(self, area: Area, block: int, count: int) -> None:
        """Feeds the first ``count`` words of a channel block as consecutive tiles."""
        whole, rest = divmod(count, self.size)
        if whole:
            self.feed(area.word(block, 0), self.size, self.size, whole, turned=False)
        if rest:
            self.feed(area.word(block, 0, whole * self.size), rest, self.size, 1, turned=False)

    def convolve(self, operands: Operands, piece: Piece, source: Span, blocks: int, pitch: int) -> None:
        """Writes the product of ``source`` and the tiles that were fed, and its Drain.

        ``source`` is in the first of ``blocks`` channel blocks, which are ``pitch`` words apart.
        """
        groups = self.context.config.groups
        self.load_parameters(self.parameters, groups)
        convolve = CentredConvolve(
            source=source.start, row_pitch=source.words, plane_pitch=pitch, source_height=1, source_width=source.words,
            height=1, width=source.words, blocks=blocks, padding=self.product.x_zero, first=1, last=1)
        reads = Span(source.start, source.words, blocks=blocks, block_pitch=pitch)
        done = self.context.add(convolve, Effects(reads=(reads,)))
        self.add_post(Drain(zero_point=self.product.zero_point, release_parameters=1), operands, piece, after=done)


class ScoresWriter(ProductWriter):
    """Writes scores: for each block of queries and each head, it feeds the queries as tiles and streams the keys."""

    def __init__(self, context: LoweringContext, operation: ScoresOperation) -> None:
        super().__init__(context, operation)
        self.operation = operation

    def run(self, operands: Operands, blocks: range, first: int, last: int) -> Iterator[Progress]:
        columns = operands.x.columns
        self.fetch_operands()
        for block in blocks:
            for head in range(first, last):
                for low, high in cut(columns, self.context.config.accumulator_depth):
                    piece = Piece(block, head, low, 1, high - low)
                    self.feed_piece(operands, piece)
                    self.multiply(operands, piece)
                    yield self.progress(piece, head + (high == columns), self._depth(operands) * (high - low))

    def feed_piece(self, operands: Operands, piece: Piece) -> None:
        """Feeds the queries of a piece to the weight FIFO."""
        queries, depth = self.whole(self.operation), self._depth(operands)
        first = piece.block * self.size
        word, there = queries.word(piece.y * depth, 0, first), min(self.size, queries.columns - first)
        self.feed(word, there, queries.plane, depth, turned=True)

    def multiply(self, operands: Operands, piece: Piece) -> None:
        """Writes the scores of a piece, whose queries were fed before."""
        keys, depth = operands.x, self._depth(operands)
        source = Span(keys.word(piece.y * depth, 0, piece.x), piece.width)
        self.convolve(operands, piece, source, depth, keys.plane)

    def _depth(self, operands: Operands) -> int:
        """Returns the number of channel blocks of a head."""
        return operands.x.blocks // self.operation.heads


class MixtureWriter(ProductWriter):
    """Writes mixtures: for each head, it transposes the softmax, then feeds the values of each channel block as tiles."""

    def __init__(self, context: LoweringContext, operation: MixtureOperation) -> None:
        super().__init__(context, operation)
        self.operation = operation

    def run(self, operands: Operands, blocks: range, first: int, last: int) -> Iterator[Progress]:  # noqa: ARG002
        self.fetch_operands()
        for head in range(self.operation.heads):
            for block in range(operands.x.blocks):
                self.turn(operands.x, head, block)
            for piece in self.pieces(operands, head):
                self.feed_piece(operands, piece)
                self.multiply(operands, head, piece)
                end = piece.x + piece.width == operands.y.columns
                yield self.progress(piece, int(end), self._planes(operands.x) * piece.width)

    def pieces(self, operands: Operands, head: int) -> list[Piece]:
        """Returns the pieces of one head."""
        depth = operands.y.blocks // self.operation.heads
        ranges = list(cut(operands.y.columns, self.context.config.accumulator_depth))
        return [Piece(block, 0, low, 1, high - low)
                for block in range(head * depth, (head + 1) * depth) for low, high in ranges]

    def feed_piece(self, operands: Operands, piece: Piece) -> None:
        """Feeds the values of a piece's channels to the weight FIFO."""
        self.feed_rows(self.whole(self.operation), piece.block, operands.x.columns)

    def multiply(self, operands: Operands, head: int, piece: Piece) -> None:
        """Writes the mixture of a piece, whose values were fed and whose softmax was transposed before."""
        planes = self._planes(operands.x)
        source = Span(self._turned(head) + piece.x, piece.width)
        self.convolve(operands, piece, source, planes, self._plane(operands.x))

    def _planes(self, x: Area) -> int:
        return turned_blocks(x.columns, self.size)

    def _plane(self, x: Area) -> int:
        """Returns the words of a channel block of a transposed softmax."""
        return self.room.words // TURNED // self._planes(x)

    def _turned(self, head: int) -> int:
        """Returns the first word of a head's transposed softmax."""
        return self.room.start + head % TURNED * (self.room.words // TURNED)

    def turn(self, x: Area, head: int, block: int) -> None:
        """Transposes the softmax of a block of queries, so that keys become channels."""
        plane = self._plane(x)
        whole, rest = divmod(x.columns, self.size)
        for first, tiles, rows in ((0, whole, self.size), (whole, 1, rest)):
            if tiles and rows:
                destination = self._turned(head) + first * plane + block * self.size
                source = x.word(block, head, first * self.size)
                turn = Turn(source=source, pitch=self.size, tiles=tiles, rows=rows, destination=destination,
                            destination_pitch=plane)
                reads = Span(source, (tiles - 1) * self.size + rows)
                writes = Span(destination, self.size, rows=tiles, row_pitch=plane)
                self.context.add(turn, Effects(reads=(reads,), writes=(writes,)))

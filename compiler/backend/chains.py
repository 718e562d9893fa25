"""Chains: convolutions and a depthwise one written together, each reading the one before. While the array makes rows of the
first, the DEPTHWISE unit works on the rows before these, and the array on those before again.
"""

from fractions import Fraction

from arrayloom.compiler.backend.context import LoweringContext
from arrayloom.compiler.backend.followers import Follower, Rows
from arrayloom.compiler.backend.lower import writer_of
from arrayloom.compiler.backend.lower.convolution import Convolver
from arrayloom.compiler.backend.lower.depthwise import DepthwiseConvolver
from arrayloom.compiler.backend.lower.writer import Piece, Progress
from arrayloom.compiler.backend.operations import DepthwiseConvolution
from arrayloom.compiler.backend.row_tiles import cut_regions
from arrayloom.isa.config import ACCUMULATOR_BANKS

WAITING = 1     # pieces that the DEPTHWISE unit works on while others are written
PAIR = ACCUMULATOR_BANKS


class DepthwiseFollower(Follower):
    """A depthwise step whose pieces are written as soon as their sources are, whatever the POST unit has to do."""

    def __init__(self, context: LoweringContext, rows: Rows) -> None:
        super().__init__(context, rows)
        assert isinstance(self.writer, DepthwiseConvolver)
        self.convolver = self.writer
        # Where both this step and the lead have a lookup table, pieces in pairs have it loaded half as often.
        self.together = PAIR if self.step.epilogue.lookup_table is not None else 1

    def advance(self, slack: int, cycles: int) -> int:  # noqa: ARG002
        """Begins all pieces that may begin; returns what is left of the POST unit's cycles."""
        while self._ready_pieces() >= self.together:
            if self.together > 1:
                slack -= self._drain(0)
            for _ in range(self.together):
                block = self._next()
                assert block is not None
                slack -= self.begin(block, self.together)
        return slack

    def _ready_pieces(self) -> int:
        """Pieces that may begin."""
        rows, height = self.convolver.region_rows, self.output.height
        return sum(-(-(ready - first) // rows) if ready == height else (ready - first) // rows
                   for ready, first in ((self._ready(block), first) for block, first in enumerate(self.done)))

    def begin(self, block: int, waiting: int = WAITING) -> int:
        """Begins the next piece of a block and drains those before the last ``waiting`` that were begun; returns the POST
        unit's cycles."""
        first, used = self.done[block], 0
        last = min(first + self.convolver.region_rows, self.output.height)
        for region in cut_regions(first, last, self.output.width, self.context.config.accumulator_depth):
            used += self._drain(ACCUMULATOR_BANKS - 1)
            self.convolver.begin(self.operands, Piece(block, region.y, region.x, region.height, region.width))
            used += self._drain(waiting)
        self.done[block] = last
        return used

    def finish(self) -> None:
        """Writes what is left, rows of all blocks before the next."""
        while self.step_on():
            pass
        self.writer.finish()

    def step_on(self) -> bool:
        """Begins one piece of what is left, or drains the last one; returns whether there was anything."""
        if (block := self._next()) is not None:
            self.begin(block)
            return True
        return bool(self._drain(0))

    def _next(self) -> int | None:
        """The block with the fewest rows of those whose next piece may begin."""
        height, rows = self.output.height, self.convolver.region_rows
        open_blocks = [block for block, first in enumerate(self.done)
                       if first < height and self._ready(block) >= min(first + rows, height)]
        return min(open_blocks, key=lambda block: self.done[block], default=None)

    def _drain(self, left: int) -> int:
        """Drains all pieces but the last ``left`` that were begun; returns the POST unit's cycles."""
        used = 0
        for progress in self.convolver.drain(left):
            self.rows.set(self.step.output, progress.block, progress.rows)
            used += progress.post
        return used


class ConvolutionFollower:
    """A convolution that reads what another step of the same group makes, written region by region among the pieces of the
    group's lead.

    ``lead_pieces``: how many of these there are.
    """

    def __init__(self, context: LoweringContext, rows: Rows, lead_pieces: int) -> None:
        self.context, self.step, self.rows = context, context.step, rows
        writer = writer_of(context)
        assert isinstance(writer, Convolver)
        self.writer = writer
        self.operands = context.operands()
        layout = context.network.layouts[self.step.output]
        self.left = writer.pieces(range(layout.blocks), 0, layout.height)
        self.left.reverse()
        self.rate = Fraction(len(self.left), lead_pieces)
        self.credit = Fraction(0)
        self.there = [0] * context.network.layouts[self.step.x].blocks     # rows of the source, as of the turn before
        rows.open(self.step)

    def advance(self, slack: int, cycles: int) -> int:  # noqa: ARG002
        """Writes as many pieces as are due and can be written; returns what is left of the POST unit's cycles."""
        self.credit += self.rate
        while self.credit >= 1 and (progress := self._write()) is not None:
            self.credit -= 1
            slack -= progress.post
        self._look()
        return slack

    def finish(self) -> None:
        """Writes what is left."""
        while self.step_on():
            pass
        assert not self.left, self.step
        self.writer.finish()

    def step_on(self) -> bool:
        """Writes a piece if there is one that can be written; returns whether there was one or there may be one now."""
        wrote = self._write() is not None
        return self._look() or wrote

    def _look(self) -> bool:
        """Notes which rows of the source are there: what is written in this turn is too fresh, the array would wait for it.
        Returns whether there are new ones."""
        before = self.there
        self.there = [self.rows.get(self.step.x, block) for block in range(len(before))]
        return self.there != before

    def _write(self) -> Progress | None:
        if not self.left or not self._is_ready():
            return None
        *_, progress = self.writer.write_region(self.operands, *self.left.pop())
        self.rows.set(self.step.output, progress.block, progress.rows)
        return progress

    def _is_ready(self) -> bool:
        region, block = self.left[-1]
        layout, residual = self.context.network.layouts[self.step.x], self.step.epilogue.residual
        if residual is not None and self.rows.get(residual.tensor, block) < region.y + region.height:
            return False
        needed = self.step.operation.source_rows(region.y, region.y + region.height, layout.rows)[1]
        return all(rows >= needed for rows in self.there)


AnyFollower = Follower | ConvolutionFollower


def follower_of(context: LoweringContext, rows: Rows, lead_pieces: int) -> AnyFollower:
    """What writes the context's step along with the lead of its group, which has so many pieces."""
    if isinstance(context.step.operation, DepthwiseConvolution):
        return DepthwiseFollower(context, rows)
    return ConvolutionFollower(context, rows, lead_pieces) if context.step.on_array else Follower(context, rows)


def finish(followers: list[AnyFollower]) -> None:
    """Writes what is left of all; the parts of a chain take turns."""
    chain = [each for each in followers if isinstance(each, DepthwiseFollower | ConvolutionFollower)]
    moved = True
    while moved:
        moved = False
        for each in chain:
            moved |= each.step_on()
    for follower in followers:
        follower.finish()

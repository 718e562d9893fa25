"""The interleaved schedule of a chain: convolution, depthwise convolution, convolution, each reading the previous one.

While the array computes rows of the first convolution, the DEPTHWISE unit processes the previous rows, and the array
computes rows of the last convolution from what is complete.
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

WAITING = 1     # pieces that are in the DEPTHWISE unit, not yet drained, while others are written
PAIR = ACCUMULATOR_BANKS


class DepthwiseFollower(Follower):
    """A depthwise step whose pieces are written as soon as their sources are, however busy the POST unit is."""

    def __init__(self, context: LoweringContext, rows: Rows) -> None:
        super().__init__(context, rows)
        assert isinstance(self.writer, DepthwiseConvolver)
        self.convolver = self.writer
        # If this step and the lead both have lookup tables, writing pieces in pairs halves the number of table loads.
        self.together = PAIR if self.step.epilogue.lookup_table is not None else 1

    def advance(self, slack: int, cycles: int) -> int:  # noqa: ARG002
        """Begins all pieces whose sources are complete; returns what remains of the POST unit's ``slack`` cycles."""
        while self._ready_pieces() >= self.together:
            if self.together > 1:
                slack -= self._drain(0)
            for _ in range(self.together):
                block = self._next()
                assert block is not None
                slack -= self.begin(block, self.together)
        return slack

    def _ready_pieces(self) -> int:
        """Returns the number of pieces whose sources are complete."""
        rows, height = self.convolver.region_rows, self.output.height
        return sum(-(-(ready - first) // rows) if ready == height else (ready - first) // rows
                   for ready, first in ((self._ready(block), first) for block, first in enumerate(self.done)))

    def begin(self, block: int, waiting: int = WAITING) -> int:
        """Begins the next piece of a block and drains earlier pieces until ``waiting`` are left; returns the POST unit's
        cycles."""
        first, used = self.done[block], 0
        last = min(first + self.convolver.region_rows, self.output.height)
        for region in cut_regions(first, last, self.output.width, self.context.config.accumulator_depth):
            used += self._drain(ACCUMULATOR_BANKS - 1)
            self.convolver.begin(self.operands, Piece(block, region.y, region.x, region.height, region.width))
            used += self._drain(waiting)
        self.done[block] = last
        return used

    def finish(self) -> None:
        """Writes all remaining pieces, each row of pieces for all blocks before the next row."""
        while self.step_on():
            pass
        self.writer.finish()

    def step_on(self) -> bool:
        """Begins one remaining piece, or drains all if none can begin; returns whether there was anything to do."""
        if (block := self._next()) is not None:
            self.begin(block)
            return True
        return bool(self._drain(0))

    def _next(self) -> int | None:
        """Returns the block with the fewest finished rows among those whose next piece can begin, or None."""
        height, rows = self.output.height, self.convolver.region_rows
        open_blocks = [block for block, first in enumerate(self.done)
                       if first < height and self._ready(block) >= min(first + rows, height)]
        return min(open_blocks, key=lambda block: self.done[block], default=None)

    def _drain(self, left: int) -> int:
        """Drains all begun pieces except the last ``left``; returns the POST unit's cycles."""
        used = 0
        for progress in self.convolver.drain(left):
            self.rows.set(self.step.output, progress.block, progress.rows)
            used += progress.post
        return used


class ConvolutionFollower:
    """A convolution that reads the result of another step of its group; its regions are written between pieces of the lead.

    ``lead_pieces`` is the number of pieces of the lead.
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
        self.there = [0] * context.network.layouts[self.step.x].blocks     # finished rows of the source at the last call
        rows.open(self.step)

    def advance(self, slack: int, cycles: int) -> int:  # noqa: ARG002
        """Writes the pieces that are due and whose sources are complete; returns what remains of the ``slack`` cycles."""
        self.credit += self.rate
        while self.credit >= 1 and (progress := self._write()) is not None:
            self.credit -= 1
            slack -= progress.post
        self._look()
        return slack

    def finish(self) -> None:
        """Writes all remaining pieces."""
        while self.step_on():
            pass
        assert not self.left, self.step
        self.writer.finish()

    def step_on(self) -> bool:
        """Writes a piece if one can be written; returns whether one was written or rows of the source were added."""
        wrote = self._write() is not None
        return self._look() or wrote

    def _look(self) -> bool:
        """Updates the finished rows of the source; returns whether there are new ones.

        Rows that are written between two calls are used only after the second one, as the array would have to wait for them.
        """
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
    """Returns the follower that writes the context's step between the ``lead_pieces`` pieces of the group's lead."""
    if isinstance(context.step.operation, DepthwiseConvolution):
        return DepthwiseFollower(context, rows)
    return ConvolutionFollower(context, rows, lead_pieces) if context.step.on_array else Follower(context, rows)


def finish(followers: list[AnyFollower]) -> None:
    """Writes all remaining pieces of all followers; those of a chain take turns."""
    chain = [each for each in followers if isinstance(each, DepthwiseFollower | ConvolutionFollower)]
    moved = True
    while moved:
        moved = False
        for each in chain:
            moved |= each.step_on()
    for follower in followers:
        follower.finish()

"""Followers: steps of the POST unit that are interleaved with a convolution, piece by piece as their rows are completed."""

from dataclasses import dataclass, field

from arrayloom.compiler.backend.context import LoweringContext
from arrayloom.compiler.backend.layouts import allocation_root, member_of
from arrayloom.compiler.backend.lower import writer_of
from arrayloom.compiler.backend.lower.unary import pixel_cycles
from arrayloom.compiler.backend.steps import Network, Step

MOST_PIECES = 16    # pieces of a block, unless such pieces would occupy the POST unit for too long


@dataclass
class Rows:
    """The number of rows written so far of each block of the current group's outputs; other tensors count as complete."""

    network: Network
    _done: dict[tuple[str, int], int] = field(default_factory=dict)

    def open(self, step: Step) -> None:
        """Marks the step's output as not yet written."""
        for block in range(self.network.layouts[step.output].blocks):
            self.set(step.output, block, 0)

    def set(self, name: str, block: int, rows: int) -> None:
        self._done[self._key(name, block)] = rows

    def get(self, name: str, block: int) -> int:
        return self._done.get(self._key(name, block), self.network.layouts[name].rows)

    def _key(self, name: str, block: int) -> tuple[str, int]:
        member, start = member_of(self.network, name, block)
        root, first = allocation_root(self.network, member)
        return root, first + block - start


class Follower:
    """A step whose pieces are written when their sources are complete and the POST unit has spare cycles."""

    def __init__(self, context: LoweringContext, rows: Rows) -> None:
        self.context, self.step, self.rows = context, context.step, rows
        self.writer = writer_of(context)
        self.operands = context.operands()
        self.output = context.network.layouts[self.step.output]
        self.done = [0] * self.output.blocks
        rows.open(self.step)

    def advance(self, slack: int, cycles: int) -> int:
        """Writes pieces of at most ``cycles`` cycles until ``slack`` cycles are used; returns the remaining ones."""
        most = max(1, cycles // (self.output.width * pixel_cycles(self.context.config, self.step)))
        least = min(most, -(-self.output.height // MOST_PIECES))
        for block, first in enumerate(self.done):
            last = min(self._ready(block), first + most) if slack > 0 else first
            if last - first >= least or first < last == self.output.height:
                slack -= self._write(block, last)
        return slack

    def finish(self) -> None:
        """Writes all remaining pieces."""
        for block, first in enumerate(self.done):
            if first < self.output.height:
                self._write(block, self.output.height)
        self.writer.finish()

    def _write(self, block: int, last: int) -> int:
        """Writes a block up to row ``last``; returns the POST unit's cycles."""
        pieces = list(self.writer.run(self.operands, range(block, block + 1), self.done[block], last))
        self.done[block] = last
        self.rows.set(self.step.output, block, last)
        return sum(piece.post for piece in pieces)

    def _ready(self, block: int) -> int:
        """Returns the number of output rows of a block whose sources are complete."""
        height = self.context.network.layouts[self.step.x].rows
        there, last, limit = self.rows.get(self.step.x, block), self.done[block], self.output.height
        residual = self.step.epilogue.residual
        if residual:
            limit = self.rows.get(residual.tensor, block)
        while last < limit and self.step.operation.source_rows(0, last + 1, height)[1] <= there:
            last += 1
        return last

"""The base of all writers of instructions: a step's POST instruction with its epilogue, and the loads for it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from arrayloom.compiler.backend.area import Area, Span
from arrayloom.compiler.backend.context import LoweringContext, Operands
from arrayloom.compiler.backend.dependencies import NEVER
from arrayloom.compiler.backend.epilogue import Residual, lookup_table_page
from arrayloom.compiler.backend.image import Section
from arrayloom.compiler.backend.stream import Effects
from arrayloom.isa.config import PARAMETER_BYTES
from arrayloom.isa.instructions import LoadLookupTable, LoadParameters, PostInstruction, ResidualInstruction


@dataclass(frozen=True)
class Piece:
    """A part of one channel block of a step's output: rows [y, y + height), columns [x, x + width)."""

    block: int
    y: int
    x: int
    height: int
    width: int

    def span(self, area: Area) -> Span:
        """Returns the words of the piece in ``area``."""
        return area.span(self.block, 1, self.y, self.y + self.height, self.x, self.width)


@dataclass(frozen=True)
class Progress:
    """The progress of a step: rows [0, rows) of a channel block are written.

    Attributes
    ----------
    block, rows
        The block and the number of its rows.
    cycles
        Estimated cycles of the last piece.
    post
        How many of these the POST unit is busy.
    loaded
        Words of weights that the last piece needs.
    written
        False if only the array's part of the last piece is written, and its Drain comes next.
    """

    block: int
    rows: int
    cycles: int
    post: int
    loaded: int = 0
    written: bool = True


@dataclass
class LookupTableUse:
    """The lookup table of a step: loaded when a block needs it, and released before the next table is loaded."""

    context: LoweringContext
    _page: int | None = None    # the block whose page is at the head of the FIFO; 0 for one page for all blocks
    _last: int = NEVER          # the last instruction that used it

    def prepare(self, block: int) -> None:
        """Makes sure that the page for ``block`` is at the head of the table FIFO."""
        context, epilogue = self.context, self.context.step.epilogue
        if epilogue.lookup_table is None:
            return
        page = block if epilogue.per_channel else 0
        if page != self._page:
            for other in context.table_users:
                other.release()
            data = lookup_table_page(epilogue.lookup_table, self._channels(block), context.config.size)
            context.add(LoadLookupTable(address=context.constants.add(data)), section=Section.CONSTANTS)
            self._page = page
            context.table_users[:] = [self]

    def used(self, index: int) -> None:
        self._last = index

    def release(self) -> None:
        """Marks the last instruction that uses the page, which drops it."""
        if self._page is not None:
            self.context.stream.release_lookup_table(self._last)
            self._page = None

    def _channels(self, block: int) -> np.ndarray:
        layout = self.context.network.layouts[self.context.step.output]
        channels = np.full(layout.blocks * layout.size, -1)
        channels[layout.slots()] = np.arange(layout.channels)
        return channels[block * layout.size:(block + 1) * layout.size]


class Writer(ABC):
    """Writes the instructions of the context's step.

    With ``parameters_first``, the parameters of a piece are loaded before its weights; otherwise just before its Drain,
    after the loads of followers.
    """

    def __init__(self, context: LoweringContext) -> None:
        self.context, self.step = context, context.step
        self.lookup_table = LookupTableUse(context)
        self.parameters_first = True

    @abstractmethod
    def run(self, operands: Operands, blocks: range, first: int, last: int) -> Iterator[Progress]:
        """Writes rows [first, last) of some blocks of the output; yields after each piece, and before each Drain."""

    def finish(self) -> None:
        """Ends the step after all of it is written: releases its lookup table."""
        self.lookup_table.release()

    def load_parameters(self, address: int, entries: int, skip: int = 0) -> None:
        """Writes the load of ``entries`` entries from entry ``skip`` of those at ``address`` in the constants."""
        first = address + skip * PARAMETER_BYTES * self.context.config.lanes
        self.context.add(LoadParameters(address=first, entries=entries), section=Section.CONSTANTS)

    def add_post(self, own: PostInstruction, operands: Operands, piece: Piece, reads: tuple[Span, ...] = (),
                 after: int = NEVER) -> int:
        """Writes the POST instruction of a piece, with the step's epilogue; returns its index.

        ``own`` is the instruction with the fields of its operation, ``reads`` the words that the operation reads; ``after``
        is that of ``Stream.add``.
        """
        residual = self.step.epilogue.residual
        instruction = self._placed(own, operands.y, piece)
        if residual and operands.residual:
            self.context.fetch(residual.tensor, piece.y + piece.height)
            instruction = _adding(instruction, residual, operands.residual, piece)
            reads += (piece.span(operands.residual),)
        self.lookup_table.prepare(piece.block)
        probes = self.context.probes(piece.block, piece.y, piece.x)
        effects = Effects(reads, (piece.span(operands.y),))
        index = self.context.add(instruction, effects, after=after, probes=probes)
        self.lookup_table.used(index)
        return index

    def _placed(self, own: PostInstruction, y: Area, piece: Piece) -> PostInstruction:
        epilogue = self.step.epilogue
        return own.changed(
            destination=y.word(piece.block, piece.y, piece.x), destination_pitch=y.columns, height=piece.height,
            width=piece.width, low=epilogue.low, high=epilogue.high, lookup_table=int(epilogue.lookup_table is not None))


def _adding(instruction: PostInstruction, residual: Residual, area: Area, piece: Piece) -> ResidualInstruction:
    """Returns the instruction with the fields of the epilogue's residual, which is in ``area``."""
    assert isinstance(instruction, ResidualInstruction), instruction    # fusion adds no residual to pools
    constants = residual.constants
    return instruction.changed(
        add=1, swap=int(residual.swap), residual=area.word(piece.block, piece.y, piece.x),
        residual_pitch=area.columns, ratio_a=constants.ratio_a, ratio_b=constants.ratio_b,
        add_offset=constants.add_offset, a_offset=constants.a_offset, b_offset=constants.b_offset,
        multiply=constants.multiply, product_zero=constants.product_zero, sum_offset=constants.sum_offset,
        add_low=residual.low, add_high=residual.high)

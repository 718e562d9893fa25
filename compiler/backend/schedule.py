"""Writes the program's instructions, group by group; within a group, by the iterations of its lead."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from arrayloom.compiler.backend.attention_chain import is_attention, is_chain, write_chain
from arrayloom.compiler.backend.chains import ConvolutionFollower, DepthwiseFollower, finish, follower_of
from arrayloom.compiler.backend.context import LoweringContext
from arrayloom.compiler.backend.followers import Rows
from arrayloom.compiler.backend.groups import Group
from arrayloom.compiler.backend.layouts import allocation_root
from arrayloom.compiler.backend.lower import writer_of
from arrayloom.compiler.backend.lower.convolution import Convolver
from arrayloom.compiler.backend.lower.writer import Progress
from arrayloom.compiler.backend.operations import Average
from arrayloom.compiler.backend.tiling import TilingPlan
from arrayloom.isa.instructions import End

OnGroup = Callable[[int, int], None]
"""Called with the number of groups written so far and the number of all groups."""


def schedule(context: LoweringContext, on_group: OnGroup | None = None) -> None:
    """Writes the whole program."""
    finished = _last_writers(context)
    for index, group in enumerate(context.placement.groups):
        lead = context.of(group.lead)
        if is_chain(context.network, group):
            write_chain([context.of(number) for number in group.steps])
        elif is_attention(context.network, group):
            for number in group.steps:
                _GroupWriter(context.of(number), Group(number), index).write()
        else:
            _GroupWriter(lead, group, index).write()
        for name in sorted(context.network.kept()):
            if finished.get(allocation_root(context.network, name)[0]) == index:
                area = lead.area(name)
                lead.store(name, area, 0, area.blocks, 0, area.rows)
        if on_group:
            on_group(index + 1, len(context.placement.groups))
    context.add(End())


def _last_writers(context: LoweringContext) -> dict[str, int]:
    """Returns the last group that writes to each tensor with a place on chip."""
    last: dict[str, int] = {}
    for index, group in enumerate(context.placement.groups):
        for number in group.steps:
            root = allocation_root(context.network, context.network.steps[number].output)[0]
            if root in context.placement.chip:
                last[root] = index
    return last


class _GroupWriter:
    """Writes the instructions of one group; ``context`` is that of its lead.

    Pieces of followers come after the Drain of a piece of the lead or, with ``before_drains``, between the Convolve of the
    next piece and its Drain. The POST unit executes them in the same order either way. With ``before_drains``, however, LOAD
    transfers the next weights before the followers' tables and thresholds, which must wait until the POST unit has dropped
    earlier ones.
    """

    def __init__(self, context: LoweringContext, group: Group, index: int) -> None:
        self.step = context.step
        self.plan = TilingPlan(context, *context.placement.scratch_buffers.get(index, ()))
        self.rows = Rows(context.network)
        self.rows.open(self.step)
        self.writer = writer_of(context)
        pieces = self._lead_pieces()
        self.followers = [follower_of(context.of(number), self.rows, pieces) for number in group.followers]
        self.before_drains = any(each.step.epilogue.lookup_table is not None or isinstance(each.step.operation, Average)
                                 for each in self.followers)
        self.writer.parameters_first = not self.before_drains
        self.slack = 0
        self.has_depthwise = any(isinstance(each, DepthwiseFollower) for each in self.followers)
        ends_on_array = any(isinstance(each, ConvolutionFollower) for each in self.followers)
        if self.has_depthwise and isinstance(self.writer, Convolver) and not ends_on_array:
            self.writer.by_block = True     # followers of the depthwise step, such as a global pool, can begin with a block

    def write(self) -> None:
        _exhaust(self.plan.load(0))
        for iteration in self.plan.iterations:
            load = self.plan.load(iteration.number + 1)
            spare = SpareWords()
            operands = self.plan.operands(iteration)
            for progress in self.writer.run(operands, iteration.blocks, iteration.first, iteration.last):
                if progress.written:
                    if self.plan.overlaps:
                        spare.use(load, progress)
                    self.rows.set(self.step.output, progress.block, progress.rows)
                if progress.written is not self.before_drains:
                    self._advance(progress)
            self.plan.store(iteration)
            _exhaust(load)
        self.writer.finish()
        finish(self.followers)

    def _lead_pieces(self) -> int:
        """Estimates the number of pieces of the lead."""
        layout = self.writer.context.network.layouts[self.step.output]
        if isinstance(self.writer, Convolver):
            return len(self.writer.pieces(range(layout.blocks), 0, layout.height))
        return layout.blocks

    def _advance(self, progress: Progress) -> None:
        """Lets the followers use the POST unit's cycles that the lead does not need; unused ones are not carried over."""
        self.slack = min(self.slack, 0) + progress.cycles - progress.post
        if self.has_depthwise:      # the DEPTHWISE unit is slower than the lead, so the POST unit has spare cycles
            self.slack = max(self.slack, 1)
        for follower in self.followers:
            self.slack = follower.advance(self.slack, progress.cycles)


@dataclass
class SpareWords:
    """Words that the bus can transfer in addition to the weights while a row tile is computed."""

    words: int | None = None

    def use(self, load: Iterator[int], progress: Progress) -> None:
        """Loads as much of the next row tile as the bus can transfer during a piece.

        Nothing is loaded during the first piece, so that a load that waits for its buffer does not delay the weights of the
        second piece.
        """
        if self.words is None:
            self.words = 0
            return
        self.words = min(self.words, 0) + progress.cycles - progress.loaded
        while self.words > 0:
            slice_words = next(load, None)
            if slice_words is None:
                return
            self.words -= slice_words


def _exhaust(pieces: Iterator[int]) -> None:
    """Runs a generator to its end, so that it writes all remaining pieces."""
    for _ in pieces:
        pass

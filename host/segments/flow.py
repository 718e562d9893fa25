"""What lies between the units before each instruction of a program, if all before it are complete.

That is independent of all timing: tokens that were given and not taken, what LOAD has put into its FIFOs and nobody took,
and sums in the accumulators.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.segments.errors import SegmentError
from arrayloom.isa.fields import Instruction, Unit
from arrayloom.isa.instructions import Convolve, Drain, End
from arrayloom.isa.program import Program
from arrayloom.isa.supplies import Supply, part, supplied, taken, used
from arrayloom.isa.tokens import NO_GIVER, token_givers

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Stock:
    """One FIFO over the whole program; what is put into it is numbered from 0.

    Attributes:
        loads: int64[m], the instructions that fill it.
        begins: int64[m], the number of the first that each puts in.
        ends: int64[m], one more than the number of the last.
        taken: int64[n + 1], how much is gone before each instruction.
        used: int64[n + 1], how much was needed by any instruction before.
    """

    loads: Counts
    begins: Counts
    ends: Counts
    taken: Counts
    used: Counts

    def held(self, index: int) -> int:
        """Loads of which anything is left before instruction ``index``."""
        return int(np.searchsorted(self.loads, index) - np.searchsorted(self.ends, self.taken[index], "right"))

    def between(self, first: int, end: int | None) -> Iterator[tuple[int, int, int]]:
        """What instructions ``first`` to ``end`` take; None: what is left in the end, too.

        Yields:
            Each load before ``end`` of whose contents anything is left before ``first``; the number of its contents that
            are gone by then, and how much of the others is taken, perhaps nothing.
        """
        gone, limit = int(self.taken[first]), np.iinfo(np.int64).max if end is None else int(self.taken[end])
        stop = len(self.taken) if end is None else end
        left = slice(np.searchsorted(self.ends, gone, "right"), np.searchsorted(self.loads, stop))
        for load, begin, last in zip(self.loads[left], self.begins[left], self.ends[left], strict=True):
            start = max(int(begin), gone)
            yield int(load), start - int(begin), max(0, min(int(last), limit) - start)


class Flow:
    """What lies between the units of ``program`` before each of its ``n`` instructions, up to its end.

    Attributes:
        instructions: all of them, decoded.
        end: index of the instruction that ends it.
        stocks: by what LOAD supplies.
        giver: int64[k], the instruction that gives each token, in order of the takers.
        taker: int64[k], the instruction that takes it.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.instructions: list[Instruction] = list(program)
        self.end = _end(self.instructions)
        self.stocks = {supply: self._stock(supply) for supply in Supply}
        self.givers = token_givers(self.instructions)
        pairs = [(int(givers[taker]), taker) for producer, givers in self.givers.items()
                 for taker in np.flatnonzero(givers != NO_GIVER).tolist() if self.instructions[taker].UNIT is not producer]
        tokens = np.array(sorted(pairs, key=lambda pair: pair[1]), np.int64).reshape(-1, 2)
        self.giver, self.taker = tokens[:, 0], tokens[:, 1]

    @cached_property
    def quiet(self) -> NDArray[np.bool_]:
        """bool[n + 1]: whether both accumulator banks are empty before each instruction."""
        begun = self._running(lambda one: isinstance(one, Convolve) and one.first)
        drained = self._running(lambda one: isinstance(one, Drain))
        return begun == drained

    @cached_property
    def closed(self) -> NDArray[np.bool_]:
        """bool[n + 1]: whether, besides, nothing in a FIFO that was needed before is kept for instructions after."""
        return self.quiet & np.all([stock.used <= stock.taken for stock in self.stocks.values()], axis=0)

    def loads(self, first: int, end: int) -> list[tuple[int, Instruction | None]]:
        """What must be loaded into the FIFOs for instructions ``first`` to ``end``.

        Returns:
            In order, each load before ``end`` of whose contents anything is left before ``first``, and that part of it
            which these instructions take; None where they take nothing. Those before ``first`` neither wait nor signal.
        """
        config = self.program.configuration
        until = None if end == self.end else end
        return [(load, part(self.instructions[load], offset, count, config) if count else None)
                for load, offset, count in sorted(one for stock in self.stocks.values() for one in stock.between(first, until))]

    def held(self, index: int) -> int:
        """Loads of which anything is left in the FIFOs before instruction ``index``."""
        return sum(stock.held(index) for stock in self.stocks.values())

    def unit(self, index: int) -> Unit:
        """The unit of an instruction that gives or takes tokens."""
        unit = self.instructions[index].UNIT
        assert unit is not None
        return unit

    def _stock(self, supply: Supply) -> Stock:
        config = self.program.configuration
        puts = [(index, found[1]) for index, one in enumerate(self.instructions)
                if (found := supplied(one)) and found[0] is supply]
        loads, amounts = (np.array([put[side] for put in puts], np.int64) for side in (0, 1))
        ends = np.cumsum(amounts)
        gone = self._running(lambda one: taken(one, supply, config))
        needs = np.array([0, *(used(one, supply, config) for one in self.instructions)], np.int64)
        reached = np.maximum.accumulate(np.concatenate([[0], gone[:-1]]) + needs)
        return Stock(loads, ends - amounts, ends, gone, reached)

    def _running(self, count: Callable[[Instruction], int]) -> Counts:
        """int64[n + 1]: the sum over all instructions before each."""
        return np.concatenate([[0], np.cumsum([int(count(one)) for one in self.instructions])])


def _end(instructions: list[Instruction]) -> int:
    for index, one in enumerate(instructions):
        if isinstance(one, End):
            return index
    raise SegmentError(f"a program of {len(instructions)} instructions without an end cannot be cut: compile "
                       "the model again")

"""The state between the units before each instruction of a program, after all earlier ones are complete.

It does not depend on timing: tokens given but not taken, data that LOAD has put into FIFOs and no unit has taken,
and sums in the accumulators.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from arrayloom.host.segments.errors import SegmentError
from arrayloom.isa.fields import Instruction, Unit
from arrayloom.isa.instructions import Convolve, Depthwise, Drain, DrainDepthwise, End
from arrayloom.isa.program import Program
from arrayloom.isa.supplies import Supply, part, supplied, taken, used
from arrayloom.isa.tokens import NO_GIVER, token_givers

Counts = NDArray[np.int64]
Pair = tuple[Unit, Unit]    # producer, consumer


@dataclass(frozen=True)
class Stock:
    """One FIFO over the whole program; its entries are numbered from 0.

    Attributes
    ----------
    loads
        int64[m], the instructions that fill it.
    begins
        int64[m], the number of the first entry of each.
    ends
        int64[m], one more than the number of the last entry of each.
    taken
        int64[n + 1], entries taken before each instruction.
    used
        int64[n + 1], entries needed by any earlier instruction.
    """

    loads: Counts
    begins: Counts
    ends: Counts
    taken: Counts
    used: Counts

    def level(self, index: int) -> int:
        """The number of entries in the FIFO before instruction ``index``."""
        loads = int(np.searchsorted(self.loads, index))
        return int(self.ends[loads - 1]) - int(self.taken[index]) if loads else 0

    def held(self, index: int) -> int:
        """Loads before instruction ``index`` with entries left."""
        return int(np.searchsorted(self.loads, index)) - self._gone(index)

    def open_from(self, index: int) -> int:
        """The first load with entries left before instruction ``index``; ``index`` if there is none."""
        gone = self._gone(index)
        return min(index, int(self.loads[gone])) if gone < len(self.loads) else index

    def between(self, first: int, end: int | None) -> Iterator[tuple[int, int, int]]:
        """Yields what instructions ``first`` to ``end`` consume; None: including what is left at the end.

        Yields
        ------
        tuple of int
            Each load before ``end`` with entries left before ``first``, the number of its entries already taken, and the
            number taken from then on, possibly 0.
        """
        gone, limit = int(self.taken[first]), np.iinfo(np.int64).max if end is None else int(self.taken[end])
        stop = len(self.taken) if end is None else end
        left = slice(self._gone(first), np.searchsorted(self.loads, stop))
        for load, begin, last in zip(self.loads[left], self.begins[left], self.ends[left], strict=True):
            start = max(int(begin), gone)
            yield int(load), start - int(begin), max(0, min(int(last), limit) - start)

    def _gone(self, index: int) -> int:
        """The number of loads without entries left before instruction ``index``."""
        return int(np.searchsorted(self.ends, self.taken[index], "right"))


class Flow:
    """The state between the units of ``program`` before each of its ``n`` instructions.

    Attributes
    ----------
    instructions
        All instructions, decoded.
    units
        int64[n], the unit of each; -1 if it has none.
    end
        Index of the instruction that ends the program.
    filled
        int64[n + 1], number of accumulator banks filled before each instruction.
    drained
        int64[n + 1], number of accumulator banks drained before each instruction.
    stocks
        The FIFOs, by kind of data that LOAD supplies.
    pairs
        By producer and consumer, the instructions that give tokens and those that take them, each int64[k].

    Raises
    ------
    SegmentError
        The accelerator has an ATTENTION unit.
    """

    def __init__(self, program: Program) -> None:
        if program.configuration.attention_lanes:
            raise SegmentError(f"a program for {program.config}: cannot be cut into segments: what its ATTENTION unit holds "
                               "cannot be handed on; run it whole, without --workers")
        self.program = program
        self.instructions: list[Instruction] = list(program)
        self.end = _end(self.instructions)
        self.units = np.array([-1 if one.UNIT is None else one.UNIT for one in self.instructions])
        self.filled = _before([isinstance(one, Convolve) and one.last for one in self.instructions])
        self.drained = _before([type(one) is Drain for one in self.instructions])
        self.stocks = {supply: self._stock(supply) for supply in Supply}
        self.pairs = dict(self._pairs())

    @cached_property
    def quiet(self) -> NDArray[np.bool_]:
        """bool[n + 1]: whether both accumulator banks, and those of depthwise sums, are empty before each instruction."""
        begun, depthwise, drained = (_before(each) for each in (
            [isinstance(one, Convolve) and one.first for one in self.instructions],
            [isinstance(one, Depthwise) for one in self.instructions],
            [isinstance(one, DrainDepthwise) for one in self.instructions]))
        return (self.drained == begun) & (drained == depthwise)

    @cached_property
    def closed(self) -> NDArray[np.bool_]:
        """bool[n + 1]: whether, in addition, no FIFO entry is used both before and after each instruction."""
        return self.quiet & np.all([stock.used <= stock.taken for stock in self.stocks.values()], axis=0)

    def tokens(self, index: int) -> dict[Pair, int]:
        """The number of tokens from each unit to each other unit not yet taken before instruction ``index``."""
        counts = {pair: int(np.searchsorted(givers, index)) - int(np.searchsorted(takers, index))
                  for pair, (givers, takers) in self.pairs.items()}
        return {pair: count for pair, count in counts.items() if count}

    def loads(self, first: int, end: int) -> list[tuple[int, Instruction | None]]:
        """The data that must be loaded into the FIFOs for instructions ``first`` to ``end``.

        Returns
        -------
            In order, each load before ``end`` with entries left before ``first``, and the
            part that these instructions take, or None.
        """
        config = self.program.configuration
        until = None if end == self.end else end
        shares = sorted(share for stock in self.stocks.values() for share in stock.between(first, until))
        return [(load, part(self.instructions[load], offset, count, config) if count else None)
                for load, offset, count in shares]

    def held(self, index: int) -> int:
        """Loads before instruction ``index`` with entries left in the FIFOs."""
        return sum(stock.held(index) for stock in self.stocks.values())

    def open_from(self, end: int) -> int:
        """The first instruction whose loaded data is not all taken before ``end``; ``end`` if there is none."""
        return min(stock.open_from(end) for stock in self.stocks.values())

    def _stock(self, supply: Supply) -> Stock:
        config = self.program.configuration
        puts = [(index, found[1]) for index in np.flatnonzero(self.units == Unit.LOAD).tolist()
                if (found := supplied(self.instructions[index])) and found[0] is supply]
        loads, amounts = (np.array([put[side] for put in puts], np.int64) for side in (0, 1))
        ends = np.cumsum(amounts)
        takes, needs = np.zeros((2, len(self.instructions)), np.int64)
        for index in np.flatnonzero((self.units == Unit.ARRAY) | (self.units == Unit.POST)).tolist():
            needs[index] = used(self.instructions[index], supply, config)
            if needs[index]:
                takes[index] = taken(self.instructions[index], supply, config)
        gone = _before(takes)
        return Stock(loads, ends - amounts, ends, gone, np.maximum.accumulate(np.append(0, gone[:-1] + needs)))

    def _pairs(self) -> Iterator[tuple[Pair, tuple[Counts, Counts]]]:
        for producer, givers in token_givers(self.instructions).items():
            takers = np.flatnonzero(givers != NO_GIVER)
            for consumer in Unit:
                own = takers[self.units[takers] == consumer]
                if consumer is not producer and len(own):
                    yield (producer, consumer), (givers[own], own)


def _before(each: ArrayLike) -> Counts:
    """int64[n + 1]: the sum over all instructions before each."""
    return np.append(0, np.cumsum(each, dtype=np.int64))


def _end(instructions: list[Instruction]) -> int:
    for index, one in enumerate(instructions):
        if isinstance(one, End):
            return index
    raise SegmentError(f"a program of {len(instructions)} instructions without an end cannot be cut: compile the "
                       "model again")

"""What lies between the units before each instruction of a program, if all before it are complete.

That is independent of all timing: tokens that were given and not taken, what LOAD has put into its FIFOs and nobody took,
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

    def level(self, index: int) -> int:
        """How much is in the FIFO before instruction ``index``."""
        loads = int(np.searchsorted(self.loads, index))
        return int(self.ends[loads - 1]) - int(self.taken[index]) if loads else 0

    def held(self, index: int) -> int:
        """Loads before instruction ``index`` of which anything is left."""
        return int(np.searchsorted(self.loads, index)) - self._gone(index)

    def open_from(self, index: int) -> int:
        """The first load of which anything is left before instruction ``index``; ``index`` where none of those before is."""
        gone = self._gone(index)
        return min(index, int(self.loads[gone])) if gone < len(self.loads) else index

    def between(self, first: int, end: int | None) -> Iterator[tuple[int, int, int]]:
        """What instructions ``first`` to ``end`` take; None: what is left in the end, too.

        Yields:
            Each load before ``end`` of whose contents anything is left before ``first``; the number of its contents that
            are gone by then, and how much of the others is taken, perhaps nothing.
        """
        gone, limit = int(self.taken[first]), np.iinfo(np.int64).max if end is None else int(self.taken[end])
        stop = len(self.taken) if end is None else end
        left = slice(self._gone(first), np.searchsorted(self.loads, stop))
        for load, begin, last in zip(self.loads[left], self.begins[left], self.ends[left], strict=True):
            start = max(int(begin), gone)
            yield int(load), start - int(begin), max(0, min(int(last), limit) - start)

    def _gone(self, index: int) -> int:
        """Loads of which nothing is left before instruction ``index``."""
        return int(np.searchsorted(self.ends, self.taken[index], "right"))


class Flow:
    """What lies between the units of ``program`` before each of its ``n`` instructions.

    Attributes:
        instructions: all of them, decoded.
        units: int64[n], the unit of each; -1 where there is none.
        end: index of the instruction that ends it.
        filled: int64[n + 1], accumulator banks that were full before each instruction, since the beginning.
        drained: int64[n + 1], those that were drained again.
        stocks: by what LOAD supplies.
        pairs: by producer and consumer, the instructions that give tokens and those that take them, int64[k] each.
    """

    def __init__(self, program: Program) -> None:
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
        """bool[n + 1]: whether, besides, nothing in a FIFO that was needed before is kept for instructions after."""
        return self.quiet & np.all([stock.used <= stock.taken for stock in self.stocks.values()], axis=0)

    def tokens(self, index: int) -> dict[Pair, int]:
        """How many tokens each unit has given another that were not taken before instruction ``index``."""
        counts = {pair: int(np.searchsorted(givers, index)) - int(np.searchsorted(takers, index))
                  for pair, (givers, takers) in self.pairs.items()}
        return {pair: count for pair, count in counts.items() if count}

    def loads(self, first: int, end: int) -> list[tuple[int, Instruction | None]]:
        """What must be loaded into the FIFOs for instructions ``first`` to ``end``.

        Returns:
            In order, each load before ``end`` of whose contents anything is left before ``first``, and that part of it
            which these instructions take; None where they take nothing.
        """
        config = self.program.configuration
        until = None if end == self.end else end
        shares = sorted(share for stock in self.stocks.values() for share in stock.between(first, until))
        return [(load, part(self.instructions[load], offset, count, config) if count else None)
                for load, offset, count in shares]

    def held(self, index: int) -> int:
        """Loads before instruction ``index`` of which anything is left in the FIFOs."""
        return sum(stock.held(index) for stock in self.stocks.values())

    def open_from(self, end: int) -> int:
        """The first instruction that loads what is not taken before ``end``; ``end`` where none of those before does."""
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

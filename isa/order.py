"""Computes what is complete when an instruction reads and writes, from tokens alone.

Units start and complete their instructions in order, but start the next one before earlier ones are complete. It is
therefore sufficient to track the latest complete instruction of every unit: a vector clock. When an instruction takes a
token (``arrayloom.isa.tokens``), the instruction that gave it is complete, and so is everything that was complete when
that one read and wrote. A Drain reads and writes nothing before its accumulator bank is full, so it also inherits the
clock of the instruction that filled the bank. Instructions after it inherit this only once it is complete, since the
POST unit prefetches their operands.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.fields import Instruction, Unit, units_in
from arrayloom.isa.instructions import Convolve, Depthwise, Drain, DrainAttention, DrainDepthwise, Normalize, Softmax
from arrayloom.isa.tokens import NO_GIVER, token_givers

NEVER = -1
_FILLED_BY = {DrainDepthwise: Unit.DEPTHWISE, DrainAttention: Unit.ATTENTION}

Clock = NDArray[np.int64]      # [units]: the latest complete instruction of each


@dataclass(frozen=True)
class Unmet:
    """An endless wait.

    Attributes
    ----------
    index
        Of the instruction that waits.
    producer
        The unit that it waits for.
    giver
        The instruction that it waits for, which in turn waits for it; None if no instruction gives the token.
    """

    index: int
    producer: Unit
    giver: int | None


@dataclass(frozen=True)
class Order:
    """The order of a program's instructions that tokens ensure.

    Attributes
    ----------
    clocks
        int64[instructions, units], the latest complete instruction of each unit when an instruction reads
        and writes; ``NEVER`` for none, and for instructions without a unit.
    unmet
        Endless waits, in the order of the program.
    """

    clocks: NDArray[np.int64]
    unmet: list[Unmet]


def order_of(instructions: Sequence[Instruction]) -> Order:
    """The order of a program: what is complete when each instruction reads and writes."""
    ordering = _Ordering(instructions)
    ordering.run()
    return Order(ordering.clocks, sorted(ordering.unmet, key=lambda one: (one.index, one.producer)))


class _Ordering:
    """Processes the queues of all units at once: a token's producer may come after its consumer in the program."""

    def __init__(self, instructions: Sequence[Instruction]) -> None:
        self._instructions = instructions
        self._givers = token_givers(instructions)
        self._queues: dict[Unit, list[int]] = {unit: [] for unit in Unit}
        for index, one in enumerate(instructions):
            if one.UNIT is not None:
                self._queues[one.UNIT].append(index)
        self._fillers = _fillers(instructions)
        self._begun = {unit: np.full(len(Unit), NEVER, np.int64) for unit in Unit}
        self._complete = {unit: np.full(len(Unit), NEVER, np.int64) for unit in Unit}
        self._at_end: dict[int, Clock] = {}
        self.clocks = np.full((len(instructions), len(Unit)), NEVER, np.int64)
        self.unmet: list[Unmet] = []

    def run(self) -> None:
        places = dict.fromkeys(Unit, 0)
        while heads := {unit: queue[places[unit]] for unit, queue in self._queues.items() if places[unit] < len(queue)}:
            ready = [unit for unit, index in heads.items() if not self._open(index)]
            if not ready:       # these wait for each other; the first continues, so that everything else is checked
                first = min(heads, key=lambda unit: heads[unit])
                self.unmet += [Unmet(heads[first], producer, giver) for producer, giver in self._open(heads[first])]
                ready = [first]
            for unit in ready:
                queue, place = self._queues[unit], places[unit]
                self._go(unit, queue[place])
                place += 1
                while place < len(queue) and not self._open(queue[place]):
                    self._go(unit, queue[place])
                    place += 1
                places[unit] = place

    def _needed(self, index: int) -> list[tuple[Unit, int]]:
        """The instructions that are complete when it begins, by unit; ``NO_GIVER`` for a token that no instruction gives."""
        return [(producer, int(self._givers[producer][index])) for producer in units_in(self._instructions[index].wait)]

    def _open(self, index: int) -> list[tuple[Unit, int]]:
        """Those of them that are not processed yet, likewise the instruction that fills its bank."""
        needed = self._needed(index)
        if index in self._fillers:
            needed.append(self._filler(index))
        return [(producer, giver) for producer, giver in needed if giver != NO_GIVER and giver not in self._at_end]

    def _go(self, unit: Unit, index: int) -> None:
        """Records what is complete when an instruction begins, when it reads and writes, and when it is complete."""
        begun = self._begun[unit]
        for producer, giver in self._needed(index):
            if giver != NO_GIVER:
                self._join(begun, giver, producer)
            elif producer is not unit:      # an instruction without earlier ones of its unit waits for nothing
                self.unmet.append(Unmet(index, producer, None))
        clock, complete = self.clocks[index], self._complete[unit]
        clock[:] = begun
        if index in self._fillers:
            unit_of_sums, filler = self._filler(index)
            self._join(clock, filler, unit_of_sums)
        np.maximum(complete, clock, out=complete)
        complete[unit] = index
        self._at_end[index] = complete.copy()

    def _filler(self, index: int) -> tuple[Unit, int]:
        """The instruction that fills the bank of a Drain, with its unit."""
        filler = self._fillers[index]
        unit = self._instructions[filler].UNIT
        assert unit is not None
        return unit, filler

    def _join(self, clock: Clock, complete: int, unit: Unit) -> None:
        if complete in self._at_end:
            np.maximum(clock, self._at_end[complete], out=clock)
        clock[unit] = max(clock[unit], complete)


def _fillers(instructions: Sequence[Instruction]) -> dict[int, int]:
    """The instruction that fills the bank of each Drain; banks of each kind are drained in the order in which they are
    filled."""
    filling: dict[Unit, list[int]] = {unit: [] for unit in Unit}
    drains: dict[Unit, list[int]] = {unit: [] for unit in Unit}
    for index, one in enumerate(instructions):
        if isinstance(one, Depthwise | Softmax | Normalize) or (isinstance(one, Convolve) and one.last):
            assert one.UNIT is not None
            filling[one.UNIT].append(index)
        elif isinstance(one, Drain):
            drains[_FILLED_BY.get(type(one), Unit.ARRAY)].append(index)
    return dict(pair for unit in Unit for pair in zip(drains[unit], filling[unit], strict=False))

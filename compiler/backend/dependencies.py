"""Order between units: who waits for whom, with as few tokens as the dependencies allow.

Units take their instructions in program order and complete them in that order. So it is enough to know, for each
instruction, the latest instruction of every unit that is complete when it starts (a vector clock): what a needed
instruction knew, its waiter knows too. The k-th token taken is the k-th given, since both ends of the pairs ascend.
"""

from bisect import bisect_right
from dataclasses import dataclass, field

from arrayloom.compiler.backend.hazards import NEVER
from arrayloom.isa.fields import Unit
from arrayloom.isa.registers import TOKEN_BITS

# Tokens given for waits further down the program; the rest of the counter is for waits already in a queue.
MOST_OPEN = (1 << TOKEN_BITS) * 5 // 8

ORDER = (Unit.POST, Unit.ARRAY, Unit.STORE, Unit.LOAD)   # who tends to know most comes first

Clock = tuple[int, ...]
NOTHING: Clock = (NEVER,) * len(Unit)


@dataclass
class Tokens:
    """``wait`` and ``signal`` masks of all instructions so far, by index."""

    wait: list[int] = field(default_factory=list)
    signal: list[int] = field(default_factory=list)
    _clocks: list[Clock] = field(default_factory=list)
    _known: dict[Unit, Clock] = field(default_factory=lambda: dict.fromkeys(Unit, NOTHING))
    _latest: dict[Unit, int] = field(default_factory=lambda: dict.fromkeys(Unit, NEVER))
    _waiters: dict[tuple[Unit, Unit], list[int]] = field(default_factory=dict)

    def append(self, unit: Unit | None, needs: dict[Unit, int], after: int = NEVER) -> None:
        """The next instruction; ``needs``: the latest instruction of each unit that must be complete before.

        ``after``: a Convolve that is over when this Drain starts, because the accumulators say so. Instructions behind
        the Drain know nothing of that: the POST unit reads their operands ahead.
        """
        index = len(self._clocks)
        self.wait.append(0)
        self.signal.append(0)
        if unit is None:
            self._clocks.append(NOTHING)
            return
        clock = self._known[unit]
        if after != NEVER:
            clock = _later(clock, self._clocks[after], Unit.ARRAY, after)
        for producer in ORDER:
            if needs.get(producer, NEVER) > clock[producer]:
                taken = self._take(index, unit, producer, needs[producer])
                clock = _later(clock, self._clocks[taken], producer, taken)
                self._known[unit] = _later(self._known[unit], self._clocks[taken], producer, taken)
        self._clocks.append(clock)
        self._latest[unit] = index

    def known(self, unit: Unit, producer: Unit) -> int:
        """The latest instruction of ``producer`` that is complete when the next one of ``unit`` starts."""
        return self._known[unit][producer]

    def _take(self, index: int, unit: Unit, producer: Unit, needed: int) -> int:
        """Makes ``index`` wait; returns the instruction that is then known to be complete."""
        self.wait[index] |= 1 << producer
        if producer is unit:
            needed = self._latest[unit]
        else:
            waiters = self._waiters.setdefault((unit, producer), [])
            if len(waiters) - bisect_right(waiters, needed) >= MOST_OPEN:
                needed = self._latest[producer]
            waiters.append(index)
            self.signal[needed] |= 1 << unit
        return needed


def _later(clock: Clock, other: Clock, unit: Unit, index: int) -> Clock:
    merged = [max(pair) for pair in zip(clock, other, strict=True)]
    merged[unit] = max(merged[unit], index)
    return tuple(merged)

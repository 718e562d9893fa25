"""How far a segment overlaps the next one, so that both reach the same state of the accelerator.

The next segment begins with empty FIFOs; it reaches the state of the previous one when LOAD is as far ahead as in the
whole program. The previous segment omits loads for later instructions, which matters only once FETCH gets near its end.
Between these two points the states can be compared.
"""


import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.cost import timing
from arrayloom.compiler.cost.busy import busy_cycles
from arrayloom.host.segments.flow import Flow
from arrayloom.isa.bus import FETCH_BUFFER_BYTES
from arrayloom.isa.config import ACCUMULATOR_BANKS
from arrayloom.isa.fields import INSTRUCTION_BYTES, Unit
from arrayloom.isa.supplies import Supply

Cycles = NDArray[np.int64]

STEPS = 256         # estimated cycles in which units overlap; only beyond that does one wait for another
PIECE = 128         # instructions processed at once
START_CYCLES = 1000     # cycles until the first weights arrive and LOAD reaches its rate


class Overlap:
    """The possible ends of a program's segments.

    Attributes
    ----------
    clock
        int64[n + 1], estimated cycles until all instructions before each are done.
    """

    def __init__(self, flow: Flow) -> None:
        self.flow, self.config = flow, flow.program.configuration
        instructions = flow.instructions
        busy = np.zeros((len(Unit), len(instructions) + 1), np.int64)
        for index, one in enumerate(instructions):
            if one.UNIT is not None:
                busy[one.UNIT, index + 1] = busy_cycles(one, self.config)
        busy = np.cumsum(busy, axis=1)
        self.clock = _clock(busy)
        self._spare, self._posting = self.clock - busy[Unit.LOAD], busy[Unit.POST]
        self._own = {unit: np.flatnonzero(flow.units == unit) for unit in Unit}
        self._fills, self._drains = np.flatnonzero(np.diff(flow.filled)), np.flatnonzero(np.diff(flow.drained))
        self._closed = np.flatnonzero(flow.closed[:flow.end])
        self._weights = flow.stocks[Supply.WEIGHTS]

    def end(self, first: int) -> int:
        """The earliest end of a segment whose successor begins at ``first``."""
        posts = self._own[Unit.POST]
        same = self._caught_up(first)
        place = int(np.searchsorted(posts, same))
        if place == len(posts):
            return self.flow.end
        seen = self._seen(int(posts[place]))
        closed = self._closed[np.searchsorted(self._closed, seen, "right"):].tolist()
        return next((end for end in closed if self.flow.open_from(end) > seen), self.flow.end)

    def _caught_up(self, first: int) -> int:
        """The instruction at which LOAD has filled the weight FIFO, for a segment that begins at ``first``."""
        words = self._weights.level(first) + self.config.weight_words + START_CYCLES
        for begin in range(first, self.flow.end, PIECE):
            ahead = self._spare[begin:begin + PIECE] - self._spare[first] >= words
            if ahead.any():
                return begin + int(np.argmax(ahead))
        return self.flow.end

    def _seen(self, post: int) -> int:
        """The last instruction that FETCH can have read when ``post`` completes: it stops at the first full queue."""
        begun = self._begun(post)
        full = int(self._weights.taken[begun]) + self.config.weight_words
        held = self._weights.loads[np.searchsorted(self._weights.ends, full, "right"):]
        stops = [self._stop(Unit.POST, post + 1, timing.POST_IN_FLIGHT),
                 self._stop(Unit.ARRAY, begun - 1, timing.ARRAY_IN_FLIGHT)]
        if len(held):
            stops.append(self._stop(Unit.LOAD, int(held[0]), timing.TRANSFER_IN_FLIGHT))
        return min(stops) + FETCH_BUFFER_BYTES // INSTRUCTION_BYTES

    def _begun(self, post: int) -> int:
        """One more than the last Convolve that ARRAY can have started when ``post`` completes: banks are used in order.

        By then, POST may have released banks whose words are still in its lanes.
        """
        released = int(np.searchsorted(self._posting, self._posting[post + 1] + timing.LANES_LATENCY, "right")) - 1
        bank = int(np.searchsorted(self._drains, max(post + 1, released))) + ACCUMULATOR_BANKS - 1
        return int(self._fills[bank]) + 1 if bank < len(self._fills) else self.flow.end

    def _stop(self, unit: Unit, waiting: int, in_flight: int) -> int:
        """The first instruction that does not fit into a unit's queue while the unit cannot take instruction ``waiting``."""
        own = self._own[unit]
        place = int(np.searchsorted(own, waiting)) + in_flight + timing.QUEUE_HEAD + self.config.queue_depth
        return int(own[place]) if place < len(own) else self.flow.end


def _clock(busy: Cycles) -> Cycles:
    """``busy``: int64[units, n + 1], the cycles of all instructions before each, by unit."""
    work = busy.sum(0)
    steps = np.searchsorted(work, np.linspace(0, work[-1], STEPS + 1))
    steps[0], steps[-1] = 0, len(work) - 1
    steps = np.unique(steps)
    times = np.concatenate([[0], np.cumsum(np.diff(busy[:, steps], axis=1).max(0))])
    inside = work / max(1, work[-1])
    return np.interp(inside, inside[steps], times).astype(np.int64)

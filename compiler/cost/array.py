"""ARRAY: reads tiles from the weight FIFO, streams pixels through them and fills accumulator banks."""

from arrayloom.compiler.cost import timing
from arrayloom.compiler.cost.busy import busy_cycles
from arrayloom.compiler.cost.kernel import Process
from arrayloom.compiler.cost.machine import Machine
from arrayloom.compiler.cost.timing import ArrayTiming
from arrayloom.isa.bus import BURST_WORDS
from arrayloom.isa.fields import Unit
from arrayloom.isa.instructions import Convolve


class Array:
    """Streams tiles back to back; the next tile is read while pixels pass through the current one.

    ``spans`` holds the cycles of the first and last pixel of each instruction, by its index.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.timing = ArrayTiming(machine.config)
        self.size = machine.config.size
        self.spans: dict[int, tuple[int, int]] = {}
        self._begun = -self.size    # the cycle in which the first row of the latest tile was read
        self._claimed = 0

    def run(self) -> Process:
        queue = self.machine.queues[Unit.ARRAY]
        count, end = 0, 0
        tile = yield from self._tile(0)
        while True:
            accepted = yield from queue.accepted.take()
            index, instruction = queue.items[count]
            assert isinstance(instruction, Convolve)
            pixels = instruction.height * instruction.width
            taken = max(accepted + timing.PLAN_LATENCY, tile, end)
            if instruction.first:
                taken = max(taken, (yield from self.machine.empty_banks.take()))
            begin = taken + timing.TAKE
            for _ in range(instruction.tiles - 1):
                tile = yield from self._tile(taken + self.timing.reload)
                taken = max(taken + pixels, tile)
            end = taken + pixels
            queue.busy += busy_cycles(instruction, self.machine.config)
            self.spans[index] = begin, end
            queue.ready.post(taken + timing.ARRAY_FREE)
            queue.retire(instruction, end + timing.RETIRE_LATENCY)
            if instruction.last:
                self.machine.full_banks.post(end + self.timing.bank_full)
            count += 1
            tile = yield from self._tile(taken + self.timing.reload)

    def _tile(self, shadow_free: int) -> Process:
        """Reads the next tile into the shadow plane; returns the earliest cycle in which a step can use it."""
        weights, size = self.machine.weights, self.size
        self._claimed += size
        there = yield from weights.filled.reach(self._claimed)
        self._begun = max(shadow_free, there, self._begun + size)
        piece = min(size, BURST_WORDS)
        for row in range(piece, size + 1, piece):
            weights.space.post(self._begun + row, piece)
        return self._begun + self.timing.ready

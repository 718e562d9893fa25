"""POST: drains, elementwise instructions and pools."""

from arrayloom.compiler.cost import timing
from arrayloom.compiler.cost.busy import average_adds, average_search, busy_cycles
from arrayloom.compiler.cost.kernel import Channel, Process
from arrayloom.compiler.cost.machine import Fifo, Machine
from arrayloom.isa.fields import Unit
from arrayloom.isa.instructions import (
    LOOKUP_TABLE_WORDS,
    Drain,
    DrainAttention,
    DrainDepthwise,
    Pool,
    PoolKind,
    PostInstruction,
    ResidualInstruction,
)
from arrayloom.isa.supplies import Supply, used


class Post:
    """Instructions use the lanes one after the other; the words of windows are read in advance.

    A word of the scratchpad that is not a residual counts as a window of one word.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.groups = machine.config.groups
        self._residuals_ahead = timing.residuals_ahead(machine.config)
        self._gathered = 0      # earliest cycle of the next request of a window's word
        self._residual = -1     # last cycle in which residuals were read in between
        self._summed = 0        # earliest cycle of the first addition of the next sum
        self._dropped = {"parameters": 0, "tables": 0}      # words that instructions have released

    def run(self) -> Process:
        queue = self.machine.queues[Unit.POST]
        count, finished = 0, 0
        while True:
            accepted = yield from queue.accepted.take()
            _, instruction = queue.items[count]
            assert isinstance(instruction, PostInstruction)
            turn = max(accepted + timing.POST_LATENCY, finished + timing.NEXT_INSTRUCTION)
            start = max(turn, (yield from self._constants(instruction)))
            if isinstance(instruction, Drain):
                full = yield from self._banks(instruction)[1].take()
                turn, start = max(turn, full), max(start, full + timing.BANK_SEEN)
                if instruction.add:
                    start = max(start, turn + timing.DRAIN_RESIDUAL_REQUEST + timing.RESIDUAL_LATENCY)
            finished = self._work(instruction, accepted, start, finished)
            queue.busy += busy_cycles(instruction, self.machine.config)
            self._release(instruction, finished)
            queue.ready.post(finished + timing.LANES_LATENCY + timing.POST_FREE)
            queue.retire(instruction, finished + timing.LANES_LATENCY)
            count += 1

    def _work(self, instruction: PostInstruction, accepted: int, start: int, before: int) -> int:
        """Returns the cycle in which the last group enters the lanes; ``before`` is that of the previous instruction."""
        if isinstance(instruction, Drain):
            return start + instruction.height * instruction.width * self.groups - 1
        if isinstance(instruction, Pool) and instruction.kind == PoolKind.SUM:
            return self._sums(instruction, accepted, start)
        if isinstance(instruction, Pool) and instruction.kind == PoolKind.AVERAGE:
            return self._averages(instruction, accepted, max(start, before + timing.RELEASE_PARAMETERS))
        return self._words(instruction, accepted, start)

    def _request(self, accepted: int) -> int:
        """Returns the cycle of the first request of a window's word."""
        return max(accepted + timing.GATHER_REQUEST, self._gathered)

    def _place(self, used: int, pace: int) -> int:
        """Returns the earliest request of the next word if all places are taken.

        A place becomes free every ``pace`` cycles, the last one at ``used``.
        """
        return used + timing.GATHER_ROOM - (timing.GATHER_DEPTH - 1) * pace

    def _words(self, instruction: PostInstruction, accepted: int, start: int) -> int:
        """Times copies and maximum pools; a residual is read through the same port, and first."""
        words = instruction.height * instruction.width
        reads = instruction.taps_y * instruction.taps_x if isinstance(instruction, Pool) else 1
        request, shared = self._request(accepted), reads
        if isinstance(instruction, ResidualInstruction) and instruction.add:
            residual = accepted + timing.RESIDUAL_REQUEST
            if residual > self._residual:
                request = max(request, residual + min(words, self._residuals_ahead))
            start = max(start, residual + timing.RESIDUAL_LATENCY)
            shared += 1
        start = max(start, request + reads - 1 + timing.GATHER_LATENCY)
        gathered = request + reads - 1 + (words - 1) * shared + timing.GATHER_LATENCY + self.groups     # of the last word
        finished = max(start + words * self.groups, gathered) - 1
        pace = max(self.groups, shared)
        used = finished + timing.WORD_USED
        self._gathered = max(request + words * reads + timing.GATHER_NEXT, self._place(used, pace))
        self._summed = used + 1
        if shared > reads:
            self._residual = finished
        return finished

    def _sums(self, pool: Pool, accepted: int, start: int) -> int:
        """Times sums over windows; each begins when the previous one has entered the lanes."""
        taps, windows = pool.taps_y * pool.taps_x, pool.height * pool.width
        request = self._request(accepted)
        finished = start - 1
        for _ in range(windows):
            summed = max(request + timing.SUM_LATENCY, self._summed) + taps
            request, place = request + taps, self._place(summed - 1, 1)
            self._gathered = max(request + timing.GATHER_NEXT, place)
            request = max(request, place)
            finished = max(finished + 1, summed) + self.groups - 1
            self._summed = finished + timing.WORD_USED + 1
        return finished

    def _averages(self, pool: Pool, accepted: int, start: int) -> int:
        """Times averages: each ordered sum is followed by a search among the thresholds, and then by the next sum."""
        taps, windows = pool.taps_y * pool.taps_x, pool.height * pool.width
        slots = max(self.groups, timing.AVERAGE_SLOTS)
        adds, search = average_adds(taps, self.groups), average_search(self.groups)
        request = self._request(accepted)
        loaded = timing.AVERAGE_LOAD
        found = 0
        for _ in range(windows):
            begin = max(request + timing.SUM_LATENCY, self._summed) + loaded
            request, place, loaded = request + taps, self._place(begin + taps * slots - 1, slots), 0
            self._gathered = max(request + timing.GATHER_NEXT, place)
            request = max(request, place)
            found = max(begin + adds + timing.AVERAGE_LATENCY, start) + search
            self._summed = found
        return found + self.groups - 1

    def _parameters(self, instruction: PostInstruction) -> int:
        """Returns the number of words of parameters that the instruction uses."""
        config = self.machine.config
        return used(instruction, Supply.PARAMETERS, config) * config.parameter_beats

    def _constants(self, instruction: PostInstruction) -> Process:
        """Returns the earliest cycle of a group for which the instruction's parameters and table are available."""
        used, dropped = self._parameters(instruction), self._dropped
        time = 0
        if used:
            filled = yield from self.machine.parameters.filled.reach(dropped["parameters"] + used)
            time = filled + timing.PARAMETERS_SEEN
        if instruction.lookup_table or instruction.release_lookup_table:
            filled = yield from self.machine.tables.filled.reach(dropped["tables"] + LOOKUP_TABLE_WORDS)
            time = max(time, filled + timing.LOOKUP_TABLE_SEEN)
        return time

    def _release(self, instruction: PostInstruction, finished: int) -> None:
        if isinstance(instruction, Drain):
            self._banks(instruction)[0].post(finished - self.groups + 1 + timing.BANK_RELEASE)
        if instruction.release_parameters:
            used = self._parameters(instruction)
            self._drop("parameters", self.machine.parameters, used, finished + timing.RELEASE_PARAMETERS)
        if instruction.release_lookup_table:
            self._drop("tables", self.machine.tables, LOOKUP_TABLE_WORDS, finished + timing.RELEASE_LOOKUP_TABLE)

    def _banks(self, instruction: Drain) -> tuple[Channel, Channel]:
        """Returns the channels of empty and full banks of the sums that the instruction drains."""
        machine = self.machine
        if isinstance(instruction, DrainDepthwise | DrainAttention):
            return machine.empty_optional_banks, machine.full_optional_banks
        return machine.empty_banks, machine.full_banks

    def _drop(self, name: str, fifo: Fifo, words: int, time: int) -> None:
        self._dropped[name] += words
        fifo.space.post(time, words)

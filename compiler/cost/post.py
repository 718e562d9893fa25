"""POST: drains, vector passes and pools."""

from arrayloom.compiler.cost.kernel import Process
from arrayloom.compiler.cost.machine import Fifo, Machine
from arrayloom.compiler.cost.timing import (
    AVERAGE_SLOTS,
    CONSTANTS_SEEN,
    GATHER_DEPTH,
    GATHER_LATENCY,
    HALF_LATENCY,
    HALF_SEEN,
    LANES_LATENCY,
    POST_LATENCY,
    RELEASE_PARAMETERS,
    RELEASE_TABLE,
    RESIDUAL_AHEAD,
    RESIDUAL_LATENCY,
    SEARCH_LATENCY,
    SEARCH_SLOTS,
    SEARCH_STEPS,
    SUM_TURN,
    TURN,
)
from arrayloom.isa.fields import Unit
from arrayloom.isa.instructions import (
    TABLE_WORDS,
    THRESHOLDS,
    Drain,
    Pool,
    PoolKind,
    PostInstruction,
    ResidualInstruction,
)


class Post:
    """Instructions take turns in the lanes; words under windows are gathered before their instruction's turn."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.groups = machine.config.groups
        self._gathered = 0      # the last word under a window was asked for
        self._summed = 0        # the last sum under a window has been used
        self._dropped = {"parameters": 0, "tables": 0}      # words that instructions have released

    def run(self) -> Process:
        queue = self.machine.queues[Unit.POST]
        count, finished = 0, 0
        while True:
            accepted = yield from queue.accepted.take()
            _, instruction = queue.items[count]
            assert isinstance(instruction, PostInstruction)
            turn = max(accepted + POST_LATENCY, finished + TURN)
            start = max(turn, (yield from self._constants(instruction)) + CONSTANTS_SEEN)
            if isinstance(instruction, Drain):
                full = yield from self.machine.full_halves.take()
                turn, start = max(turn, full), max(start, full + HALF_SEEN)
            if isinstance(instruction, ResidualInstruction) and instruction.add:
                start = max(start, turn + RESIDUAL_LATENCY)
            finished = self._work(instruction, accepted, start)
            self._release(instruction, finished)
            queue.ready.post(finished + LANES_LATENCY + 1)
            queue.retire(instruction, finished + LANES_LATENCY)
            count += 1

    def _work(self, instruction: PostInstruction, accepted: int, start: int) -> int:
        """The cycle in which the last group enters the lanes."""
        words = instruction.height * instruction.width
        busy = words * self.groups
        if isinstance(instruction, Drain):
            finished = start + busy - 1
        elif isinstance(instruction, Pool) and instruction.kind != PoolKind.MAXIMUM:
            finished, busy = self._sums(instruction, accepted, start)
        else:
            finished, busy = self._words(instruction, accepted, start)
        self.machine.queues[Unit.POST].busy += busy
        return finished

    def _words(self, instruction: PostInstruction, accepted: int, start: int) -> tuple[int, int]:
        """Words, or the largest bytes under windows; a residual is read through the same port, and first."""
        words = instruction.height * instruction.width
        reads = instruction.taps_y * instruction.taps_x if isinstance(instruction, Pool) else 1
        if isinstance(instruction, ResidualInstruction) and instruction.add:
            reads += 1
            start += min(words, RESIDUAL_AHEAD)
        gather = max(accepted, self._gathered)
        start = max(start, gather + GATHER_LATENCY)
        busy = words * max(reads, self.groups)
        finished = max(start + words * self.groups, gather + GATHER_LATENCY + busy) - 1
        self._gathered = max(gather + words * reads, finished - GATHER_DEPTH * max(self.groups, reads))
        return finished, busy

    def _sums(self, pool: Pool, accepted: int, start: int) -> tuple[int, int]:
        """Window after window; the next words are gathered while a sum waits for the lanes. Last group, and busy cycles."""
        taps, cycles, search = pool.taps_y * pool.taps_x, pool.taps_y * pool.taps_x, 0
        if pool.kind == PoolKind.AVERAGE:
            cycles = taps * max(self.groups, AVERAGE_SLOTS)
            search = SEARCH_STEPS * max(self.groups, SEARCH_SLOTS) + SEARCH_LATENCY
        gathered, finished = max(accepted, self._gathered), start - 1
        windows = pool.height * pool.width
        for _ in range(windows):
            summed = max(gathered + GATHER_LATENCY + taps, self._summed + cycles)
            complete = max(summed, start) + search if search else summed    # a search reads the instruction's thresholds
            gathered = max(gathered + taps, summed - GATHER_DEPTH)
            finished = max(finished, complete) + self.groups
            self._summed = complete if search else finished + SUM_TURN
        self._gathered = gathered
        return finished, windows * (cycles + search + self.groups)

    def _parameters(self, instruction: PostInstruction) -> int:
        """Words of parameters that the instruction uses."""
        beats = self.machine.config.parameter_beats
        if isinstance(instruction, Pool) and instruction.kind == PoolKind.AVERAGE:
            return THRESHOLDS * beats
        uses = isinstance(instruction, Drain) or (isinstance(instruction, Pool) and instruction.kind == PoolKind.SUM)
        return self.groups * beats if uses else 0

    def _constants(self, instruction: PostInstruction) -> Process:
        """Since when its parameters and its table are there."""
        time = yield from self.machine.parameters.filled.reach(
            self._dropped["parameters"] + self._parameters(instruction))
        if instruction.table or instruction.release_table:
            time = max(time, (yield from self.machine.tables.filled.reach(self._dropped["tables"] + TABLE_WORDS)))
        return time

    def _release(self, instruction: PostInstruction, finished: int) -> None:
        if isinstance(instruction, Drain):
            self.machine.empty_halves.post(finished - self.groups + 1 + HALF_LATENCY)
        if instruction.release_parameters:
            self._drop("parameters", self.machine.parameters, self._parameters(instruction), finished + RELEASE_PARAMETERS)
        if instruction.release_table:
            self._drop("tables", self.machine.tables, TABLE_WORDS, finished + RELEASE_TABLE)

    def _drop(self, name: str, fifo: Fifo, words: int, time: int) -> None:
        self._dropped[name] += words
        fifo.space.post(time, words)

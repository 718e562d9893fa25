"""What the units share: instruction queues, tokens, FIFOs, accumulator banks and the bus."""

from dataclasses import dataclass

from arrayloom.compiler.cost.bus import ReadBus
from arrayloom.compiler.cost.kernel import Channel, Kernel, Process
from arrayloom.compiler.cost.timing import (
    ACCEPT_INTERVAL,
    IN_FLIGHT,
    PLANS,
    POST_IN_FLIGHT,
    QUEUE_LATENCY,
    SLOT_LATENCY,
    TOKEN_LATENCY,
)
from arrayloom.isa.config import Config
from arrayloom.isa.fields import Instruction, Unit, units_in
from arrayloom.isa.instructions import TABLE_WORDS

ACCEPTED_AHEAD = {Unit.LOAD: 1, Unit.ARRAY: PLANS, Unit.POST: POST_IN_FLIGHT, Unit.STORE: 1}
HALVES = 2


class Queue:
    """The instruction queue of one unit, and what the unit tells it."""

    def __init__(self, machine: "Machine", unit: Unit) -> None:
        channel = machine.kernel.channel
        self.machine, self.unit = machine, unit
        self.items: list[tuple[int, Instruction]] = []      # with their numbers in the program
        self.slots = channel(machine.config.queue_depth + 1)    # and one before the unit
        self.pushed, self.accepted = channel(), channel()
        self.retired, self.ended = channel(), channel()     # the same: one for the queue itself, one for the end of the run
        self.ready = channel(ACCEPTED_AHEAD[unit])
        self.tokens = [channel() for _ in Unit]
        self.busy = 0

    def push(self, time: int, index: int, instruction: Instruction) -> None:
        self.items.append((index, instruction))
        self.pushed.post(time)

    def retire(self, instruction: Instruction, time: int) -> None:
        """Every effect of the instruction is visible: gives its tokens."""
        self.retired.post(time)
        self.ended.post(time)
        for consumer in units_in(instruction.signal):
            self.machine.queues[consumer].tokens[self.unit].post(time)

    def issue(self) -> Process:
        """Hands instructions to the unit, in order, when it is ready and their tokens are there."""
        count, accepted = 0, -ACCEPT_INTERVAL
        while True:
            pushed = yield from self.pushed.take()
            ready = yield from self.ready.take()
            satisfied = yield from self._satisfied(self.items[count][1], count)
            accepted = max(pushed + QUEUE_LATENCY, accepted + ACCEPT_INTERVAL, ready, satisfied + TOKEN_LATENCY)
            self.slots.post(accepted + SLOT_LATENCY)
            self.accepted.post(accepted)
            count += 1

    def _satisfied(self, instruction: Instruction, count: int) -> Process:
        """Since when the tokens are there that the instruction, ``count``-th of this unit, waits for."""
        time = yield from self.retired.reach(max(0, count + 1 - IN_FLIGHT))
        for producer in units_in(instruction.wait):
            own = producer == self.unit
            there = self.retired.reach(count) if own else self.tokens[producer].take()
            time = max(time, (yield from there))
        return time


@dataclass(frozen=True)
class Fifo:
    """A FIFO that LOAD fills, in words: those there, and those there is room for."""

    filled: Channel
    space: Channel


class Machine:
    """Channels between the units of one accelerator."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.kernel = Kernel()
        self.bus = ReadBus()
        self.queues = {unit: Queue(self, unit) for unit in Unit}
        self.weights = self._fifo(config.weight_words)
        self.parameters = self._fifo(config.parameter_entries * config.parameter_beats)
        self.tables = self._fifo(config.table_pages * TABLE_WORDS)
        self.empty_halves, self.full_halves = self.kernel.channel(HALVES), self.kernel.channel()

    def _fifo(self, words: int) -> Fifo:
        return Fifo(self.kernel.channel(), self.kernel.channel(words))

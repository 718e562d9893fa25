"""Resources that units share: the read channels of memory, instruction queues, tokens, FIFOs and banks of sums."""

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass

from arrayloom.compiler.cost import timing
from arrayloom.compiler.cost.kernel import Channel, Kernel, Process, Wait
from arrayloom.isa.config import ACCUMULATOR_BANKS, Config
from arrayloom.isa.fields import Instruction, Unit, units_in
from arrayloom.isa.instructions import LOOKUP_TABLE_WORDS


class ReadBus:
    """The read channels, shared by FETCH and LOAD; FETCH has priority if both wait in the same cycle."""

    def __init__(self) -> None:
        self.words = 0
        self.end = 0        # the cycle of the last beat requested so far
        self._urgent = False    # whether a request of FETCH waits
        self._free = 0      # the cycle in which the address channel is free again
        self._ends: deque[int] = deque([0] * timing.OUTSTANDING, timing.OUTSTANDING)

    def ask(self, time: int, words: int, urgent: bool) -> Generator[Wait, None, tuple[int, int]]:
        """Waits from ``time`` until the channel is free and no request with priority waits, then calls ``request``."""
        yield time
        if urgent:
            self._urgent = True
        else:
            yield time      # resumed after FETCH, whose requests in this cycle are then known
        while self._free > time or (self._urgent and not urgent):
            time = max(time, self._free)
            yield time
        if urgent:
            self._urgent = False
        return self.request(time, words)

    def request(self, time: int, words: int) -> tuple[int, int]:
        """Requests a burst at ``time``; returns the cycles in which it is accepted and in which its first beat arrives."""
        accepted = max(time, self._free)
        address = max(accepted + timing.ADDRESS_LATENCY, self._ends[0] + timing.PLACE_FREE)
        first = max(address + timing.MEMORY_LATENCY, self.end + 1)
        self._free = address + timing.ADDRESS_FREE
        self.end = first + words - 1
        self._ends.append(self.end)
        self.words += words
        return accepted, first

    def hold(self, cycles: int) -> None:
        """Delays the beats of the latest burst."""
        self.end += cycles
        self._ends[-1] = self.end


class Queue:
    """The instruction queue of one unit, and what the unit reports to it."""

    def __init__(self, machine: "Machine", unit: Unit) -> None:
        channel = machine.kernel.channel
        self.machine, self.unit = machine, unit
        self.items: list[tuple[int, Instruction]] = []      # with their indices in the program
        self.slots = channel(machine.config.queue_depth + timing.QUEUE_HEAD)
        self.pushed, self.accepted = channel(), channel()
        self.retired, self.ended = channel(), channel()     # the same counts: for the queue itself, and for the end of a run
        self.ready = channel({Unit.ARRAY: timing.ARRAY_IN_FLIGHT, Unit.POST: timing.POST_IN_FLIGHT,
                              Unit.DEPTHWISE: timing.DEPTHWISE_IN_FLIGHT, Unit.ATTENTION: 1}.get(
            unit, timing.TRANSFER_IN_FLIGHT))
        self.look = timing.POST_LOOK if unit == Unit.POST else 0
        self.tokens = {unit: channel() for unit in machine.config.units}
        self.busy = 0

    def push(self, time: int, index: int, instruction: Instruction) -> None:
        self.items.append((index, instruction))
        self.pushed.post(time)

    def retire(self, instruction: Instruction, time: int) -> None:
        """Retires an instruction, all of whose effects are visible from ``time``, and gives its tokens."""
        self.retired.post(time)
        self.ended.post(time)
        for consumer in units_in(instruction.signal):
            self.machine.queues[consumer].tokens[self.unit].post(time)

    def issue(self) -> Process:
        """Issues instructions to the unit in order, each when the unit is ready and its tokens are available."""
        count, accepted = 0, -timing.ACCEPT_INTERVAL
        while True:
            pushed = yield from self.pushed.take()
            ready = yield from self.ready.take()
            satisfied = yield from self._satisfied(self.items[count][1], count)
            offered = max(pushed + timing.QUEUE_LATENCY, accepted + timing.ACCEPT_INTERVAL,
                          satisfied + timing.TOKEN_LATENCY)
            accepted = max(offered, ready) + self.look
            self.slots.post(accepted + timing.SLOT_LATENCY)
            self.accepted.post(accepted)
            count += 1

    def _satisfied(self, instruction: Instruction, count: int) -> Process:
        """Returns the cycle from which the tokens of the unit's instruction number ``count`` are available."""
        time = yield from self.retired.reach(max(0, count + 1 - timing.IN_FLIGHT))
        for producer in units_in(instruction.wait):
            own = producer == self.unit
            there = self.retired.reach(count) if own else self.tokens[producer].take()
            time = max(time, (yield from there))
        return time


@dataclass(frozen=True)
class Fifo:
    """A FIFO that LOAD fills: words that it holds, and words that it has room for."""

    filled: Channel
    space: Channel


class Machine:
    """The channels between the units of one accelerator."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.kernel = Kernel()
        self.bus = ReadBus()
        self.queues = {unit: Queue(self, unit) for unit in config.units}
        self.weights = self._fifo(config.weight_words)
        self.parameters = self._fifo(config.parameter_entries * config.parameter_beats)
        self.tables = self._fifo(config.table_pages * LOOKUP_TABLE_WORDS)
        self.empty_banks, self.full_banks = self.kernel.channel(ACCUMULATOR_BANKS), self.kernel.channel()
        self.empty_optional_banks, self.full_optional_banks = self.kernel.channel(ACCUMULATOR_BANKS), self.kernel.channel()

    def _fifo(self, words: int) -> Fifo:
        return Fifo(self.kernel.channel(), self.kernel.channel(words))

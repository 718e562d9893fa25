"""LOAD and STORE: transfers between memory and chip, burst by burst."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from arrayloom.compiler.cost import timing
from arrayloom.compiler.cost.busy import busy_cycles
from arrayloom.compiler.cost.kernel import Process
from arrayloom.compiler.cost.machine import Fifo, Machine
from arrayloom.isa.bus import BURST_WORDS, PAGE_BYTES
from arrayloom.isa.config import Config
from arrayloom.isa.fields import Instruction, Unit
from arrayloom.isa.instructions import (
    LOOKUP_TABLE_WORDS,
    LoadActivations,
    LoadLookupTable,
    LoadParameters,
    LoadWeights,
    Store,
)


def cut(address: int, words: int, rows: int, pitch: int, longest: int, size: int) -> Iterator[int]:
    """Yields the words of each burst of ``rows`` runs of ``words`` words; ``address`` is in bytes, ``pitch`` in words."""
    page = PAGE_BYTES // size
    for row in range(rows):
        place, left = address // size + row * pitch, words
        while left:
            burst = min(longest, left, page - place % page)
            yield burst
            place, left = place + burst, left - burst


@dataclass(frozen=True)
class _Words:
    """The cycles of a burst's first and last word, and the FIFO that they go to, or None for the scratchpad."""

    first: int
    last: int
    fifo: Fifo | None


class Load:
    """Requests bursts in order; those for a FIFO wait until it has room."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._bursts = deque([_Words(0, 0, None)] * timing.OUTSTANDING, timing.OUTSTANDING)     # the latest
        self._written = 0       # the cycle of the latest word in the scratchpad

    def run(self) -> Process:
        queue, bus = self.machine.queues[Unit.LOAD], self.machine.bus
        count = accepted = 0
        while True:
            offer = (yield from queue.accepted.take()) + timing.BURST_LATENCY
            _, instruction = queue.items[count]
            fifo = _fifo(self.machine, instruction)
            taken = there = 0
            for words in _bursts(instruction, self.machine.config):
                taken = max(offer, accepted + timing.OFFER_AFTER_REQUEST)
                request = max(taken + timing.REQUEST_LATENCY, self._bursts[0].last + timing.LOAD_FREE)
                if fifo:
                    request = yield from self._room(fifo, words, request)
                accepted, first = yield from bus.ask(request, words, urgent=False)
                there = self._receive(fifo, first, words)
                offer = taken + timing.BURST_INTERVAL
            queue.busy += busy_cycles(instruction, self.machine.config)
            queue.ready.post(taken + timing.LAST_BURST)
            queue.retire(instruction, there + timing.RETIRE_LATENCY)
            count += 1

    def _room(self, fifo: Fifo, words: int, request: int) -> Process:
        """Returns the earliest request for which the FIFO has room. While words arrive, the last free place is not seen."""
        request = max(request, (yield from fifo.space.take(words)) + timing.REQUEST_LATENCY)
        if fifo.space.total == fifo.space.taken:
            yield request       # so that all releases up to this cycle are known
        more = fifo.space.exceeds(fifo.space.taken)
        if more is None or more + timing.REQUEST_LATENCY > request:
            for burst in self._bursts:
                if burst.fifo is fifo and burst.first <= request - timing.ROOM_SEEN <= burst.last:
                    request = burst.last + timing.ROOM_SEEN + 1
            if more is not None:
                request = min(request, more + timing.REQUEST_LATENCY)
        return request

    def _receive(self, fifo: Fifo | None, first: int, words: int) -> int:
        """Places the words of a burst, whose beats begin at ``first``; returns the cycle of its last word."""
        place = first + timing.SINK_LATENCY
        if fifo:
            late = max(0, self._written + 1 - place)        # earlier activations must be written first
            self.machine.bus.hold(late)
            place += late
            _fill(fifo, place, words, self.machine.config.size)
        last = place + words - 1
        self._bursts.append(_Words(place, last, fifo))
        if fifo:
            return last
        self._written = first + words - 1 + timing.WRITE_LATENCY
        return self._written


def _fill(fifo: Fifo, first: int, words: int, size: int) -> None:
    """Fills a FIFO with one word per cycle; the words of a tile are reported when the tile completes."""
    for begin in range(0, words, size):
        end = min(words, begin + size)
        fifo.filled.post(first + end - 1 + timing.FILL_LATENCY, end - begin)


def _fifo(machine: Machine, instruction: Instruction) -> Fifo | None:
    return {LoadWeights: machine.weights, LoadParameters: machine.parameters, LoadLookupTable: machine.tables}.get(
        type(instruction))


def longest_burst(config: Config) -> int:
    """Returns the words of LOAD's longest burst, which must fit the weight FIFO together with an incomplete tile."""
    return min(BURST_WORDS, config.weight_words // 2)


def _bursts(instruction: Instruction, config: Config) -> Iterator[int]:
    longest = longest_burst(config)

    def run(address: int, words: int, rows: int = 1, pitch: int = 0) -> Iterator[int]:
        return cut(address, words, rows, pitch, longest, config.size)

    match instruction:
        case LoadWeights(address=address, words=words):
            return run(address, words)
        case LoadParameters(address=address, entries=entries):
            return run(address, entries * config.parameter_beats)
        case LoadLookupTable(address=address):
            return run(address, LOOKUP_TABLE_WORDS)
        case LoadActivations(address=address, words=words, rows=rows, memory_pitch=pitch):
            return run(address, words, rows, pitch)
    raise TypeError(f"{instruction.mnemonic()} in LOAD's queue")


class _Write:
    """The bursts of STORE: the words of each are read on chip, then the burst is requested and its words are sent."""

    def __init__(self) -> None:
        self.turns = deque([0] * timing.STORE_AHEAD, timing.STORE_AHEAD)    # cycles from which the latest bursts can be read
        self.requests = deque([0] * timing.STORE_REQUESTS, timing.STORE_REQUESTS)
        self.answers = deque([0] * timing.OUTSTANDING, timing.OUTSTANDING)
        self._read_end = self._sent = 0

    def burst(self, offer: int, words: int) -> int:
        """Times a burst that is offered at ``offer`` at the earliest; returns the cycle in which it is taken."""
        taken = max(offer, self.turns[0])
        turn = max(taken + timing.STORE_READ, self._read_end)
        end = max(turn, self.requests[0] + timing.STORE_ROOM) + words       # the cycle after the last word
        request = max(end + timing.STORE_REQUEST, self.answers[0] + timing.STORE_ANSWER,
                      self.requests[-1] + timing.ADDRESS_LATENCY + timing.ADDRESS_FREE)
        self._sent = max(max(request + timing.STORE_SEND, self._sent + 1) + words - 1, end + timing.STORE_DATA)
        self._read_end = end
        self.turns.append(turn)
        self.requests.append(request)
        self.answers.append(self._sent + timing.MEMORY_LATENCY)
        return taken


def store(machine: Machine) -> Process:
    """Executes instructions burst by burst; the last answer retires the instruction."""
    queue, write = machine.queues[Unit.STORE], _Write()
    count = 0
    while True:
        offer = (yield from queue.accepted.take()) + timing.BURST_LATENCY
        _, instruction = queue.items[count]
        assert isinstance(instruction, Store)
        taken = 0
        for words in cut(instruction.address, instruction.words, instruction.rows, instruction.memory_pitch,
                         BURST_WORDS, machine.config.size):
            taken = write.burst(offer, words)
            offer = taken + timing.BURST_INTERVAL
        queue.busy += busy_cycles(instruction, machine.config)
        queue.ready.post(taken + timing.LAST_BURST)
        queue.retire(instruction, write.answers[-1] + timing.RETIRE_LATENCY)
        count += 1

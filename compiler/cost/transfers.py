"""LOAD: memory to the FIFOs and to the scratchpad."""

from collections.abc import Iterator

from arrayloom.compiler.cost.bus import cut
from arrayloom.compiler.cost.kernel import Process
from arrayloom.compiler.cost.machine import Fifo, Machine
from arrayloom.compiler.cost.timing import (
    BURST_INTERVAL,
    BURST_LATENCY,
    BURST_WORDS,
    FILL_LATENCY,
    REQUEST_LATENCY,
    RETIRE_LATENCY,
    SINK_LATENCY,
    WRITE_LATENCY,
)
from arrayloom.isa.config import Config
from arrayloom.isa.fields import Instruction, Unit
from arrayloom.isa.instructions import TABLE_WORDS, LoadActivations, LoadParameters, LoadTable, LoadWeights


def load(machine: Machine) -> Process:
    """Asks for burst after burst; those for a FIFO when there is room for them."""
    queue, bus = machine.queues[Unit.LOAD], machine.bus
    count = accepted = 0
    while True:
        offer = (yield from queue.accepted.take()) + BURST_LATENCY
        _, instruction = queue.items[count]
        fifo = _fifo(machine, instruction)
        there = 0
        for words in _bursts(instruction, machine.config):
            offer = max(offer, accepted + 1)
            request = offer + REQUEST_LATENCY
            if fifo:
                request = max(request, (yield from fifo.space.take(words)) + REQUEST_LATENCY)
            yield request
            accepted, first = bus.request(request, words)
            there = first + words - 1 + (SINK_LATENCY if fifo else WRITE_LATENCY)
            if fifo:
                _fill(fifo, first + SINK_LATENCY, words, machine.config.size)
            queue.busy += words
            offer += BURST_INTERVAL
        queue.ready.post(offer - BURST_INTERVAL + 1)
        queue.retire(instruction, there + RETIRE_LATENCY)
        count += 1


def _fill(fifo: Fifo, first: int, words: int, size: int) -> None:
    """One word a cycle; those of a short tile are told of when it is whole."""
    for begin in range(0, words, size):
        end = min(words, begin + size)
        fifo.filled.post(first + end - 1 + FILL_LATENCY, end - begin)


def _fifo(machine: Machine, instruction: Instruction) -> Fifo | None:
    return {LoadWeights: machine.weights, LoadParameters: machine.parameters, LoadTable: machine.tables}.get(
        type(instruction))


def _bursts(instruction: Instruction, config: Config) -> Iterator[int]:
    longest = min(BURST_WORDS, config.weight_words // 2)

    def run(address: int, words: int, rows: int = 1, pitch: int = 0) -> Iterator[int]:
        return cut(address, words, rows, pitch, longest, config.size)

    match instruction:
        case LoadWeights(address=address, words=words):
            return run(address, words)
        case LoadParameters(address=address, entries=entries):
            return run(address, entries * config.parameter_beats)
        case LoadTable(address=address):
            return run(address, TABLE_WORDS)
        case LoadActivations(address=address, words=words, rows=rows, memory_pitch=pitch):
            return run(address, words, rows, pitch)
    raise TypeError(f"{instruction.mnemonic()} in LOAD's queue")

"""STORE: scratchpad to memory."""

from collections import deque

from arrayloom.compiler.cost.bus import cut
from arrayloom.compiler.cost.kernel import Process
from arrayloom.compiler.cost.machine import Machine
from arrayloom.compiler.cost.timing import (
    BURST_INTERVAL,
    BURST_LATENCY,
    BURST_WORDS,
    MEMORY_LATENCY,
    OUTSTANDING,
    RETIRE_LATENCY,
    STORE_READ,
    STORE_REQUEST,
    STORE_SEND,
)
from arrayloom.isa.fields import Unit
from arrayloom.isa.instructions import Store


def store(machine: Machine) -> Process:
    """Reads a burst's words, asks for the burst, sends the words; the last answer retires the instruction."""
    queue = machine.queues[Unit.STORE]
    count = read = sent = 0
    answers: deque[int] = deque([0] * OUTSTANDING, OUTSTANDING)
    while True:
        offer = (yield from queue.accepted.take()) + BURST_LATENCY
        _, instruction = queue.items[count]
        assert isinstance(instruction, Store)
        for words in cut(instruction.address, instruction.words, instruction.rows, instruction.memory_pitch, BURST_WORDS,
                         machine.config.size):
            offer = max(offer, read)
            read = offer + STORE_READ + words - 1
            request = max(read + STORE_REQUEST, answers[0])
            sent = max(request + STORE_SEND, sent + 1) + words - 1
            answers.append(sent + MEMORY_LATENCY)
            queue.busy += words
            offer += BURST_INTERVAL
        queue.ready.post(offer - BURST_INTERVAL + 1)
        queue.retire(instruction, answers[-1] + RETIRE_LATENCY)
        count += 1

"""ATTENTION: one instruction after the other, into the weight FIFO, the scratchpad or a bank of sums."""

from arrayloom.compiler.cost import timing
from arrayloom.compiler.cost.busy import busy_cycles
from arrayloom.compiler.cost.kernel import Process
from arrayloom.compiler.cost.machine import Machine
from arrayloom.isa.fields import Unit
from arrayloom.isa.instructions import FeedWeights, Normalize, Softmax


def attention(machine: Machine) -> Process:
    """Instructions one after the other, each whole; a square at a time is fed."""
    queue, size = machine.queues[Unit.ATTENTION], machine.config.size
    count, end = 0, 0
    while True:
        accepted = yield from queue.accepted.take()
        _, instruction = queue.items[count]
        begin = max(accepted + timing.ATTENTION_LOOK, end)
        fills = isinstance(instruction, Softmax | Normalize)
        if fills:
            begin = max(begin, (yield from machine.empty_optional_banks.take()))
        cycles = busy_cycles(instruction, machine.config)
        end = begin + cycles
        if isinstance(instruction, FeedWeights):
            end = begin
            for _ in range(instruction.tiles):
                there = yield from machine.weights.space.take(size)
                end = max(end, there) + cycles // instruction.tiles
                machine.weights.filled.post(end, size)
        queue.busy += cycles
        queue.ready.post(end + timing.ATTENTION_FREE)
        queue.retire(instruction, end)
        if fills:
            machine.full_optional_banks.post(end + timing.ATTENTION_SUMS)
        count += 1

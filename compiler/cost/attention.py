"""ATTENTION: one instruction after the other, into the weight FIFO, the scratchpad or a bank of sums."""

from arrayloom.compiler.cost.busy import busy_cycles
from arrayloom.compiler.cost.kernel import Process
from arrayloom.compiler.cost.machine import Machine
from arrayloom.isa.fields import Unit
from arrayloom.isa.instructions import FeedWeights, Normalize, Softmax

LOOK = 2            # cycles from an acceptance to the beginning of the work, about
FREE = 1            # from the end of an instruction to the acceptance that waited for it
SUMS = 3            # from the end of an instruction to its bank being full


def attention(machine: Machine) -> Process:
    """Instructions one after the other, each whole; a square at a time is fed."""
    queue, size = machine.queues[Unit.ATTENTION], machine.config.size
    count, end = 0, 0
    while True:
        accepted = yield from queue.accepted.take()
        _, instruction = queue.items[count]
        begin = max(accepted + LOOK, end)
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
        queue.ready.post(end + FREE)
        queue.retire(instruction, end)
        if fills:
            machine.full_optional_banks.post(end + SUMS)
        count += 1

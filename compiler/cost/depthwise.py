"""DEPTHWISE: passes over a region with some columns of a kernel, one word per cycle, which fill banks of sums."""

from arrayloom.compiler.cost import timing
from arrayloom.compiler.cost.busy import busy_cycles, depthwise_passes
from arrayloom.compiler.cost.kernel import Process
from arrayloom.compiler.cost.machine import Machine
from arrayloom.isa.fields import Unit
from arrayloom.isa.instructions import Depthwise


def depthwise(machine: Machine) -> Process:
    """Executes instructions one after the other; each waits for an empty bank of sums."""
    queue = machine.queues[Unit.DEPTHWISE]
    count, end = 0, 0
    while True:
        accepted = yield from queue.accepted.take()
        _, instruction = queue.items[count]
        assert isinstance(instruction, Depthwise)
        begin = max(accepted + timing.DEPTHWISE_PLAN, end)
        begin = max(begin, (yield from machine.empty_optional_banks.take()))
        cycles = busy_cycles(instruction, machine.config)
        end = begin + cycles
        queue.busy += cycles
        queue.ready.post(end - depthwise_passes(instruction, machine.config.depthwise_columns)[-1] + timing.DEPTHWISE_FREE)
        queue.retire(instruction, end)
        machine.full_optional_banks.post(end + timing.DEPTHWISE_SUMS)
        count += 1

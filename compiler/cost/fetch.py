"""FETCH: prefetches the program and dispatches its instructions to the queues."""

from arrayloom.compiler.cost import timing
from arrayloom.compiler.cost.kernel import Process
from arrayloom.compiler.cost.machine import Machine
from arrayloom.isa.bus import FETCH_BUFFER_BYTES, FETCH_BURST_BYTES
from arrayloom.isa.fields import INSTRUCTION_BYTES
from arrayloom.isa.program import Program


class Fetch:
    """Two processes: ``read`` prefetches the program, ``dispatch`` pushes its instructions into the queues."""

    def __init__(self, machine: Machine, program: Program) -> None:
        self.machine, self.program = machine, program
        self.size = machine.config.size
        self.words = max(1, INSTRUCTION_BYTES // self.size)         # words that are taken from the buffer at once
        self.together = max(1, self.size // INSTRUCTION_BYTES)      # instructions in these words
        self.room = machine.kernel.channel(FETCH_BUFFER_BYTES // self.size)
        self.arrived = machine.kernel.channel()
        self.ended: int | None = None

    def read(self) -> Process:
        """Requests bursts while the buffer has room for a whole one, until the End instruction is decoded."""
        burst, place, asked = FETCH_BURST_BYTES // self.size, self.program.code_address // self.size, 0
        time = 0
        while True:
            room = yield from self.room.reach(asked + burst)
            time = max(time, room + timing.REQUEST_AFTER_ROOM)
            yield time
            if self.ended is not None and time > self.ended:
                return time
            length = burst - place % burst
            accepted, first = yield from self.machine.bus.ask(time, length, urgent=True)
            for begin in range(0, length, self.words):
                self.arrived.post(first + begin + self.words - 1, self.words)
            place, asked, time = place + length, asked + length, accepted + timing.REQUEST_AFTER_ROOM

    def dispatch(self) -> Process:
        """Pushes each instruction; returns the cycle in which the run ends."""
        stored = pushed = 0
        for index, instruction in enumerate(self.program):
            if index % self.together == 0:
                beat = yield from self.arrived.take(self.words)
                before, stored = stored, max(pushed + self.words, beat + timing.BEAT_TO_STORAGE)
                # A word leaves the buffer together with the one before, since the register between buffer and storage is
                # free then.
                ahead = stored - 1 if self.words > 1 else before
                self.room.post(max(ahead, beat + timing.BEAT_TO_STORAGE - 1), self.words)
            pushed = max(pushed, stored) + timing.DISPATCH
            if instruction.UNIT is None:
                self.ended = pushed
                break
            queue = self.machine.queues[instruction.UNIT]
            pushed = max(pushed, (yield from queue.slots.take()))
            queue.push(pushed, index, instruction)
        yield pushed + 1    # so that the reader sees the end first
        return (yield from self._quiet(pushed))

    def _quiet(self, ended: int) -> Process:
        time = ended
        for queue in self.machine.queues.values():
            time = max(time, (yield from queue.ended.reach(len(queue.items))))
        return max(time, self.machine.bus.end) + timing.END_LATENCY

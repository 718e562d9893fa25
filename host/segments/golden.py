"""The emulator's run of a whole program, which records the states at which segments begin and end."""

from collections.abc import Callable, Iterable

import numpy as np

from arrayloom.host.segments.state import Changes, State
from arrayloom.isa.image import Memory, build_memory
from arrayloom.isa.program import Program
from arrayloom.sim.emulator import Capture, Emulator


def emulate(program: Program, memory: Memory, wanted: Iterable[int], deliver: Callable[[State], None],
            ask: Callable[[], None] = lambda: None) -> Capture:
    """Runs ``program`` on ``memory``, which contains the inputs and afterwards the results.

    ``deliver`` receives the state before each of the ``wanted`` instructions as soon as the emulator reaches it; ``ask`` is
    called before each instruction. An exception in either ends the run. Returns the emulator's results.

    Raises ``EmulatorError`` for a program that breaks the ISA.
    """
    config, left = program.configuration, sorted(set(wanted), reverse=True)
    before = build_memory(program)
    scratchpad = np.zeros((config.activation_words, config.size), np.int8)

    def reach(index: int) -> None:
        ask()
        while left and left[-1] == index:
            left.pop()
            deliver(State(index, scratchpad.copy(), Changes.between(before, memory, config.size)))

    reach(0)
    emulator = Emulator(program, config)
    emulator.execute(memory, True, lambda done: reach(done + 1), scratchpad)
    return emulator.capture

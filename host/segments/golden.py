"""The emulator's run of a whole program, which leaves the states at which segments begin and end."""

from collections.abc import Callable, Iterable

import numpy as np

from arrayloom.host.segments.state import Changes, State
from arrayloom.isa.image import Memory, build_memory
from arrayloom.isa.program import Program
from arrayloom.sim.emulator import Capture, Emulator


def emulate(program: Program, memory: Memory, wanted: Iterable[int], deliver: Callable[[State], None],
            ask: Callable[[], None] = lambda: None) -> Capture:
    """Runs ``program`` on ``memory``, which has the inputs in it and then the results.

    ``deliver`` gets the state before each of the ``wanted`` instructions as soon as the emulator has come there; ``ask`` is
    called before each instruction. What they raise ends the run. Returns what the emulator computed.

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

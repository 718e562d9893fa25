"""A program of instruction words on emulator and RTL: both refuse it, or both leave the same results."""

import re

import numpy as np
from emulated import remembered
from numpy.typing import NDArray
from word_runs import Left, Words, run_on_emulator, run_on_rtl

from arrayloom.isa.program import Program
from arrayloom.isa.registers import Error
from arrayloom.sim.rtl.build import Build
from arrayloom.sim.rtl.memory import Timing

TIMINGS = [Timing(), Timing(latency=1, outstanding=1), Timing(7, 3, 2, 40, 5)]
OTHER_ERRORS = {
    "left over": {Error.DATA_LEFT, Error.TOKENS_LEFT},
    "not whole words inside": {Error.READ_OUTSIDE, Error.WRITE_OUTSIDE},
    "no full accumulator bank|while none is empty|the weight FIFO lacks|entries needed": {Error.WATCHDOG},
    "no table to release": {Error.WATCHDOG},
}
"""Errors that the RTL may report instead of an illegal instruction, by the emulator's message."""


def check(build: Build, program: Program, memory: NDArray[np.uint8], scratchpad: Words, timing: Timing) -> bool:
    """Compares both; returns whether the program is legal."""
    config = program.configuration
    emulated = remembered("words", program, [memory, scratchpad],
                          lambda: run_on_emulator(config, program, memory, scratchpad))
    simulated = run_on_rtl(build, program, memory, scratchpad, timing)
    assert bool(emulated.refusal) == bool(simulated.refusal), (
        f"emulator: {emulated.refusal or 'runs'}; RTL: {simulated.refusal or 'runs'}")
    assert (simulated.addresses < config.activation_words).all(), "POST writes beyond the scratchpad"
    if not emulated.refusal:
        _equal(emulated, simulated)
        return True
    others = (errors for text, errors in OTHER_ERRORS.items() if re.search(text, emulated.refusal))
    assert simulated.error in {Error.ILLEGAL_INSTRUCTION}.union(*others), f"{emulated.refusal}; RTL: {simulated.refusal}"
    return False


def _equal(emulated: Left, simulated: Left) -> None:
    for name in ("addresses", "words", "scratchpad", "memory"):
        np.testing.assert_array_equal(getattr(simulated, name), getattr(emulated, name), err_msg=name)

"""One program of instruction words, run on the emulator and on the RTL from the same memory and scratchpad."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.runtime.driver import RtlDriver
from arrayloom.isa.config import Config
from arrayloom.isa.errors import ArrayloomError
from arrayloom.isa.fields import INSTRUCTION_BYTES, seal
from arrayloom.isa.program import Program
from arrayloom.isa.registers import Error, Register, StatusWord
from arrayloom.sim.compare import written_words
from arrayloom.sim.emulator import Emulator
from arrayloom.sim.rtl.build import Build
from arrayloom.sim.rtl.memory import Timing
from arrayloom.sim.rtl.simulator import Stop

CODE = 1 << 15
DATA = 1 << 16          # parameters, after the code
MEMORY_BYTES = 1 << 17
WATCHDOG = 1500             # cycles: longer than any wait for memory
LIMIT = 10_000_000          # cycles: longer than any run

Words = NDArray[np.int8]


@dataclass
class Left:
    """The result of a run: the reason of a refusal, if any, memory, scratchpad, addresses and words written by POST."""

    refusal: str
    error: Error
    memory: NDArray[np.uint8]
    scratchpad: Words
    addresses: NDArray[np.integer]
    words: NDArray[np.integer]


def program_of_words(config: Config, words: list[int], memory_bytes: int = MEMORY_BYTES) -> Program:
    """A program of these 512-bit words, with valid checksums, without a network."""
    code = np.frombuffer(b"".join(word.to_bytes(INSTRUCTION_BYTES, "little") for word in words), np.uint8).copy()
    seal(code, CODE // INSTRUCTION_BYTES)
    return Program(config, "words", code, np.zeros(0, np.uint8), CODE, 0, memory_bytes, [], [], None, [], {}, {}, {}, 0)


def run_on_emulator(config: Config, program: Program, memory: NDArray[np.uint8], scratchpad: Words) -> Left:
    """Runs on copies; a refusal is given as the emulator's message."""
    memory, scratchpad = _with_code(program, memory), scratchpad.copy()
    emulator, refusal = Emulator(program, config), ""
    try:
        emulator.execute(memory, True, scratchpad=scratchpad)
    except ArrayloomError as error:
        refusal = str(error)
    return Left(refusal, Error.NONE, memory, scratchpad, *written_words(emulator.capture, config.size))


def run_on_rtl(build: Build, program: Program, memory: NDArray[np.uint8], scratchpad: Words,
               timing: Timing | None = None) -> Left:
    """Runs on copies; a refusal is given as the name of the error."""
    memory = _with_code(program, memory)
    driver = RtlDriver(build, program, memory, timing or Timing())
    simulator = driver.simulator
    simulator.write_scratchpad(scratchpad)
    simulator.record()
    simulator.write_register(Register.WATCHDOG, WATCHDOG)
    driver.start()
    assert simulator.run(LIMIT) is Stop.IRQ, f"no end after {LIMIT} cycles"
    status = StatusWord.decode(driver.read(Register.STATUS))
    assert status.done != status.failed
    left = Left("" if status.done else status.error.name, status.error, memory, simulator.read_scratchpad(),
                *simulator.take_trace())
    driver.close()
    return left


def _with_code(program: Program, memory: NDArray[np.uint8]) -> NDArray[np.uint8]:
    memory = memory.copy()
    memory[CODE:CODE + program.instructions.size] = program.instructions
    return memory

"""One program on the bench in any simulator: inputs and results."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.config import Config
from arrayloom.isa.fields import CORE_UNITS
from arrayloom.isa.image import build_memory, write_inputs
from arrayloom.isa.program import Program
from arrayloom.isa.registers import Cause, Control, Register, StatusWord, blocks_of, counter_address
from arrayloom.sim.emulator import Emulator
from arrayloom.sim.rtl.errors import SimulationError

BENCH = Path(__file__).with_name("bench.v")
TOP = "bench"
BASE = 0x87_6543_2000           # above 32 bits
MEMORY_BYTES = 1 << 18
HOST_STEPS = 256
LOW = 0xFFFF_FFFF
WATCHDOG_CYCLES = 10_000
LONGEST = 10_000_000            # cycles that the host waits for the interrupt; the core's own limits come first
WRITE, READ, WAIT, END = 1, 2, 3, 4     # as in bench.v

Inputs = dict[str, NDArray[np.generic]]
Simulate = Callable[[Path, list[str]], str]
"""Runs a simulation in a folder with these plusargs, and returns its output."""


@dataclass(frozen=True)
class Traffic:
    """Timing of the memory: cycles to the first word or response, chance of a stall in 256, and the seed of the stalls."""

    latency: int = 20
    stall: int = 0
    seed: int = 1


@dataclass(frozen=True)
class Case:
    """A program with its inputs, under a name."""

    name: str
    program: Program
    inputs: Inputs
    traffic: Traffic = Traffic()


@dataclass(frozen=True)
class Outcome:
    """The results of a run.

    Attributes
    ----------
    registers
        Registers by address, in the simulator's hexadecimal notation; x if a bit is unknown.
    memory
        Words in the same notation.
    unknown
        Outputs that were unknown while valid, and the number of cycles.
    breaches
        Cycles in which the bus protocol was violated.
    messages
        Other output of the bench.
    trace_words
        Words written by POST.
    """

    registers: dict[int, str]
    memory: list[str]
    unknown: int
    breaches: int
    messages: list[str]
    trace_words: int

    def value(self, address: int) -> int:
        """The value of a register. Raises ``SimulationError`` if it is unknown."""
        text = self.registers[address]
        if set(text) & set("xz"):
            raise SimulationError(f"register 0x{address:03x} reads {text}: unknown bits")
        return int(text, 16)

    @property
    def cycles(self) -> int:
        """Of the run."""
        return self.value(Register.CYCLES) | self.value(Register.CYCLES + 4) << 32

    @property
    def status(self) -> StatusWord:
        return StatusWord.decode(self.value(Register.STATUS))


def parameters(config: Config) -> dict[str, str]:
    """Parameters of the bench's module."""
    return {"WORD_BYTES": str(config.size), "MEMORY_WORDS": str(MEMORY_BYTES // config.size), "BASE": f"40'h{BASE:010x}",
            "HOST_STEPS": str(HOST_STEPS)}


def run_case(case: Case, simulate: Simulate, folder: Path, limit: int = LONGEST) -> Outcome:
    """Runs the case in ``folder``; the host waits ``limit`` cycles for its end.

    Raises ``SimulationError`` if the bench does not finish.
    """
    config = case.program.configuration
    image = start_memory(case)
    (folder / "memory.hex").write_text(_hexadecimal(image, config.size))
    (folder / "host.hex").write_text("\n".join(_host(case.program)) + "\n")
    traffic = case.traffic
    text = simulate(folder, [f"+{name}={value}" for name, value in (
        ("memory", "memory.hex"), ("host", "host.hex"), ("after", "after.hex"), ("stall", traffic.stall),
        ("seed", traffic.seed), ("latency", traffic.latency), ("limit", limit))])
    return _outcome(text, (folder / "after.hex").read_text())


def start_memory(case: Case) -> NDArray[np.uint8]:
    """The whole memory before the run; its content after the program's part is arbitrary."""
    if case.program.memory_bytes > MEMORY_BYTES:
        raise SimulationError(f"{case.name} takes {case.program.memory_bytes} bytes of memory: the bench has {MEMORY_BYTES}")
    image = np.random.default_rng(case.traffic.seed).integers(0, 256, MEMORY_BYTES, np.uint8)
    start = build_memory(case.program)
    write_inputs(start, case.program, case.inputs)
    image[:start.size] = start
    return image


def expected_memory(case: Case) -> NDArray[np.uint8]:
    """The whole memory after the run, from the emulator."""
    image = start_memory(case)
    Emulator(case.program, case.program.configuration).execute(image, False)
    return image


def differing_bytes(outcome: Outcome, expected: NDArray[np.uint8], size: int) -> int:
    """The number of wrong bytes of memory; unknown bytes are wrong."""
    wanted = _hexadecimal(expected, size).split()
    found = [word.lower().rjust(2 * size, "0") for word in outcome.memory]
    if len(found) != len(wanted):
        raise SimulationError(f"{len(found)} words of memory after the run: there are {len(wanted)}")
    return sum(a[index:index + 2] != b[index:index + 2] for a, b in zip(found, wanted, strict=True) if a != b
               for index in range(0, 2 * size, 2))


def _hexadecimal(memory: NDArray[np.uint8], size: int) -> str:
    """One word per line, the byte at the highest address first."""
    return "\n".join(bytes(word[::-1]).hex() for word in memory.reshape(-1, size)) + "\n"


def _host(program: Program) -> Iterable[str]:
    end = BASE + program.memory_bytes
    values = {Register.PROGRAM: BASE + program.code_address, Register.BASE: BASE, Register.LIMIT: end,
              Register.WRITE_BASE: BASE + program.write_base, Register.WRITE_LIMIT: end}
    if program.cycle_limit:
        values[Register.CYCLE_LIMIT] = program.cycle_limit
    for register, value in values.items():
        yield _step(WRITE, register, value & LOW)
        yield _step(WRITE, register + 4, value >> 32)
    yield _step(WRITE, Register.WATCHDOG, WATCHDOG_CYCLES)
    yield _step(WRITE, Register.INTERRUPT_ENABLE, 1)
    yield _step(WRITE, Register.CONTROL, 1 << Control.START)
    yield _step(WAIT)
    yield from (_step(READ, address) for address in read_registers())
    yield _step(END)


def read_registers() -> list[int]:
    """Addresses that are read after a run: status, counts and every counter."""
    pairs = [Register.CYCLES, Register.BEATS_READ, Register.BEATS_WRITTEN, Register.ERROR_ADDRESS,
             *(counter_address(block, cause) for block in blocks_of(CORE_UNITS) for cause in Cause)]
    return [Register.STATUS, Register.FETCHED, *(Register.RETIRED + 4 * unit for unit in CORE_UNITS),
            *(Register.STATE + 4 * unit for unit in CORE_UNITS), *(address + half for address in pairs for half in (0, 4))]


def _step(what: int, address: int = 0, value: int = 0) -> str:
    return f"{what:x}{address:03x}{value:08x}"


def _outcome(text: str, after: str) -> Outcome:
    end = re.search(r"^unknown (\d+) breaches (\d+) words (\d+) cycles \d+$", text, re.MULTILINE)
    if end is None:
        raise SimulationError(f"the bench has not come to its end:\n{text[-2000:]}")
    read = re.findall(r"^read (\w+) (\w+)$", text, re.MULTILINE)
    messages = re.findall(r"^(?:refused|hangs|unknown output).*$", text, re.MULTILINE)
    words = [line.strip() for line in after.splitlines() if line.strip() and not line.startswith("//")]
    return Outcome({int(address, 16): value for address, value in read}, words, int(end[1]), int(end[2]), messages,
                   int(end[3]))

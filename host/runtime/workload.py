"""The training workload for optimizing a simulator: a network whose results are compared with the emulator's."""

from functools import cached_property
from typing import NamedTuple

import numpy as np

from arrayloom.compiler import compile_model
from arrayloom.host.runtime.driver import RtlDriver
from arrayloom.host.runtime.errors import DeviceError, RunError
from arrayloom.host.runtime.simulator import workload_digest
from arrayloom.host.runtime.stall import describe
from arrayloom.host.runtime.workload_network import INPUT, workload_network
from arrayloom.isa.config import Config
from arrayloom.isa.image import Memory, build_memory, write_inputs
from arrayloom.isa.program import Program
from arrayloom.isa.registers import Register
from arrayloom.sim.compare import compare_writes
from arrayloom.sim.emulator import Capture, Emulator
from arrayloom.sim.rtl.build import Build
from arrayloom.sim.rtl.memory import Timing
from arrayloom.sim.rtl.optimize import Workload

SEED = 2


def workload_of(config: Config) -> Workload:
    """The workload of ``config``. Its run raises ``DeviceError`` for a build that differs from the emulator."""
    return Workload(workload_digest(), _Comparison(config).run)


class _Expected(NamedTuple):
    """A program with its memory before and after, and the results of its POST instructions."""

    program: Program
    before: Memory
    after: Memory
    capture: Capture


class _Comparison:
    def __init__(self, config: Config) -> None:
        self._config = config

    def run(self, build: Build) -> int:
        program, before, after, capture = self._expected
        memory = before.copy()
        driver = RtlDriver(build, program, memory, Timing())
        try:
            driver.simulator.record()
            status = driver.run()
            if not status.done:
                raise RunError(describe(driver, status))
            compared = compare_writes(program, capture, *driver.simulator.take_trace())
            if compared.bytes_differing or not np.array_equal(memory, after):
                raise DeviceError(f"{build.library} does not compute the same as the emulator "
                                  f"({compared.first or 'memory differs'}): it is discarded. Install another version of "
                                  "g++, "
                                  "or build without optimizing")
            return driver.read_64(Register.CYCLES)
        finally:
            driver.close()

    @cached_property
    def _expected(self) -> _Expected:
        program, before = _prepare(self._config)
        after = before.copy()
        emulator = Emulator(program, self._config)
        emulator.execute(after, True)
        return _Expected(program, before, after, emulator.capture)


def _prepare(config: Config) -> tuple[Program, Memory]:
    """The network's program, and its memory with an image of random pixels."""
    program = compile_model(workload_network(config), config)
    memory = build_memory(program)
    layout = program.inputs[0].slot.layout
    shape = layout.channels, layout.height, layout.width
    write_inputs(memory, program, {INPUT: np.random.default_rng(SEED).integers(0, 256, shape, np.uint8)})
    return program, memory

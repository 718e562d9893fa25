"""Random graphs on a build, against the emulator."""

from functools import cache

from arrayloom.compiler import compile_model
from arrayloom.host.runtime.boundary import device_inputs
from arrayloom.host.runtime.driver import RtlDriver
from arrayloom.host.runtime.host_parts import HostParts
from arrayloom.isa.config import PRESETS
from arrayloom.isa.image import Memory, build_memory, write_inputs
from arrayloom.isa.program import Program
from arrayloom.sim.compare import compare_writes
from arrayloom.sim.emulator import Capture, Emulator
from arrayloom.sim.rtl.build import Build
from arrayloom.sim.rtl.memory import Timing

TINY = PRESETS["tiny"]


def run_graph(build: Build, seed: int) -> None:
    """Runs the graph of that seed (tests/end_to_end/random_graphs); raises if a byte differs or the run fails."""
    program, before, expected, capture = _prepared(seed)
    memory = before.copy()
    driver = RtlDriver(build, program, memory, Timing())
    driver.simulator.record()
    status = driver.run()
    comparison = compare_writes(program, capture, *driver.simulator.take_trace())
    driver.close()
    assert status.done and comparison.first is None and (memory == expected).all(), (status, comparison.first)


@cache
def _prepared(seed: int) -> tuple[Program, Memory, Memory, Capture]:
    """A program, the memory before it, and the emulator's results."""
    from random_graphs import generate, random_inputs

    model = generate(seed)
    program = compile_model(model, TINY)
    image = HostParts(program.host).before(random_inputs(model, seed))[0]
    memory = build_memory(program)
    write_inputs(memory, program, {name: values[0] for name, values in device_inputs(image, program.inputs).items()})
    expected, emulator = memory.copy(), Emulator(program, TINY)
    emulator.execute(expected, True)
    return program, memory, expected, emulator.capture

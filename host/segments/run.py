"""One segment on the RTL: what a worker does."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.runtime.device import Writes
from arrayloom.host.runtime.driver import RtlDriver
from arrayloom.host.runtime.errors import RunError
from arrayloom.host.runtime.simulator import simulator_of
from arrayloom.host.runtime.stall import describe
from arrayloom.host.segments.segment import Segment
from arrayloom.host.segments.state import Changes, State
from arrayloom.isa.config import Config
from arrayloom.isa.program import Program
from arrayloom.sim.rtl.build import Build
from arrayloom.sim.rtl.memory import Timing

Moved = Callable[[float], None]


@dataclass(frozen=True)
class Run:
    """The results of a segment's run.

    Attributes
    ----------
    writes
        Words written by the POST unit.
    scratchpad
        int8[words, size], the final content.
    changes
        Changes of memory from beginning to end.
    events
        ``arrayloom.sim.rtl.library.SEGMENT`` [n], events of every unit.
    points
        ``arrayloom.sim.rtl.library.POINT`` [n], digests of the control state.
    seconds
        Duration of the simulation.
    library
        Library of the simulator.
    """

    writes: Writes
    scratchpad: NDArray[np.int8]
    changes: Changes
    events: NDArray[np.void]
    points: NDArray[np.void]
    seconds: float
    library: Path

    @property
    def cycles(self) -> int:
        """Cycles from doorbell to interrupt."""
        return int(self.events["cycles"].sum(dtype=np.int64))


@cache
def simulator(config: Config) -> Build:
    """The simulator of ``config``, built unless it is in the cache; located once per process."""
    return simulator_of(config)


def prepare(config: Config, _: Moved) -> None:
    """Prepares the simulator in this process."""
    simulator(config)


def run_segment(program: Program, segment: Segment, start: State, moved: Moved) -> Run:
    """Runs a segment of ``program`` from the state ``start``; ``moved`` is called with its cycles.

    Raises ``RunError`` if the accelerator reports an error.
    """
    config = program.configuration
    memory = segment.memory(program)
    start.changes.apply(memory)
    before = memory.copy()
    driver = RtlDriver(simulator(config), segment.program(program), memory, Timing())
    with closing(driver):
        rtl = driver.simulator
        rtl.write_scratchpad(start.scratchpad)
        rtl.record()
        rtl.record_events()
        rtl.record_control()
        begin, first = time.perf_counter(), rtl.cycles
        status = driver.run(lambda: moved(rtl.cycles - first))
        seconds = time.perf_counter() - begin
        if not status.done:
            raise RunError(f"{segment}, numbered anew here: {describe(driver, status)}")
        return Run(Writes(*rtl.take_trace()), rtl.read_scratchpad(), Changes.between(before, memory, config.size),
                   rtl.take_events(), rtl.take_control(), seconds, driver.simulator.build.library)

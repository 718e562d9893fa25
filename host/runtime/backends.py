"""The RTL as a device."""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.runtime.device import DeviceError
from arrayloom.host.runtime.driver import Driver
from arrayloom.host.runtime.progress import Progress, ProgressModel
from arrayloom.host.runtime.report import RunReport
from arrayloom.host.runtime.stall import describe
from arrayloom.host.runtime.waves import Waves
from arrayloom.isa.config import Config
from arrayloom.isa.image import Memory
from arrayloom.isa.program import Program
from arrayloom.isa.registers import Register
from arrayloom.sim.rtl.build import build
from arrayloom.sim.rtl.design import accelerator
from arrayloom.sim.rtl.simulator import Timing
from arrayloom.sim.rtl.timeline import Timeline, make_timeline
from arrayloom.sim.rtl.variants import FAST


class RunError(DeviceError):
    """The accelerator ended a run with an error; the text holds the cause and the state of every unit and queue."""


class RtlDevice:
    """The Verilated accelerator of ``config``; builds it when no one has yet.

    With ``timeline``, what every unit did in the last run is in ``timeline``. ``waves`` are recorded of the first run,
    which is simulated again for it.
    """

    name = "rtl"

    def __init__(self, config: Config, timing: Timing | None = None, waves: Waves | None = None,
                 timeline: bool = False) -> None:
        self.config = config
        self.timeline: Timeline | None = None
        self._timing, self._waves = timing or Timing(), waves
        self._records = timeline or waves is not None
        self._build = build(accelerator(config), FAST)
        self._driver: Driver | None = None

    def execute(self, program: Program, memory: Memory, progress: Progress | None = None) -> RunReport:
        """Runs from the doorbell to the interrupt; raises ``RunError`` when the accelerator reports an error."""
        program.require(self.config)
        waves, self._waves = self._waves, None
        before = memory.copy() if waves else memory
        try:
            return self._run(program, memory, progress)
        finally:
            if waves and self.timeline:
                waves.record(program, before, self._timing, self.timeline)

    def _run(self, program: Program, memory: Memory, progress: Progress | None) -> RunReport:
        self.close()
        self._driver = driver = Driver(self._build, program, memory, self._timing)
        driver.simulator.record()
        driver.simulator.record_events(self._records)
        begin = time.perf_counter()
        status = driver.run(progress and _observer(driver, progress))
        seconds = time.perf_counter() - begin
        if self._records:
            self.timeline = make_timeline(program, driver.simulator.take_events())
        if not status.done:
            raise RunError(describe(driver, status))
        read_64 = driver.read_64
        return RunReport(self.name, program.macs, self.config.multipliers, seconds, read_64(Register.CYCLES),
                         driver.counters(), read_64(Register.BEATS_READ), read_64(Register.BEATS_WRITTEN))

    def trace(self) -> tuple[NDArray[np.uint32], NDArray[np.int8]]:
        """The words that the POST unit wrote in the last run: addresses [n] and words [n, size]."""
        if self._driver is None:
            raise DeviceError("nothing has run yet")
        return self._driver.simulator.take_trace()

    def close(self) -> None:
        if self._driver is not None:
            self._driver.close()
            self._driver = None


def _observer(driver: Driver, progress: Progress) -> Callable[[], None]:
    model = ProgressModel(driver.program)
    return lambda: progress(model.after(driver.retired(), driver.read_64(Register.CYCLES)))

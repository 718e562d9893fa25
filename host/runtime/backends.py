"""The simulated devices (emulator and RTL), and the choice of a device by name."""

import time
from collections.abc import Callable

from arrayloom.host.runtime.board.device import BoardDevice
from arrayloom.host.runtime.device import Device, Writes
from arrayloom.host.runtime.driver import RtlDriver
from arrayloom.host.runtime.errors import BoardError, DeviceError, RunError
from arrayloom.host.runtime.planned import PlannedDevice
from arrayloom.host.runtime.report import Progress, RunReport, Snapshot, layers_of
from arrayloom.host.runtime.run_figures import register_observer, report_of
from arrayloom.host.runtime.simulator import simulator_of
from arrayloom.host.runtime.stall import describe
from arrayloom.host.runtime.waves import Waves
from arrayloom.isa.config import Config
from arrayloom.isa.image import Memory
from arrayloom.isa.program import Program
from arrayloom.sim.compare import written_words
from arrayloom.sim.emulator import Capture, Emulator
from arrayloom.sim.rtl.memory import Timing
from arrayloom.sim.rtl.timeline import Timeline, make_timeline


def open_device(backend: str, config: Config, port: str | None = None, threads: int = 1) -> Device:
    """The device of that name: ``emulator`` with its ``threads``, ``rtl``, or ``board`` with its ``port``.

    Raises ``DeviceError`` for any other, ``BoardError`` for a board that cannot be reached.
    """
    if backend == "board":
        return BoardDevice(config, port)
    if port is not None:
        raise BoardError(f"board port {port}: the backend {backend} has none; take the backend board, or leave the port out")
    if backend == "emulator":
        return PlannedDevice(EmulatorDevice(config), threads)
    if backend == "rtl":
        return RtlDevice(config)
    raise DeviceError(f"backend {backend!r}: unknown; there are emulator, rtl and board")


class EmulatorDevice:
    """The emulator of ``config``. With ``record`` it keeps the results of POST instructions for ``trace`` and
    ``capture``."""

    name = "emulator"

    def __init__(self, config: Config, record: bool = False) -> None:
        self.config = config
        self._record = record
        self._capture: Capture | None = None

    def execute(self, program: Program, memory: Memory, progress: Progress | None = None) -> RunReport:
        """Runs instruction by instruction; raises ``EmulatorError`` for a program that breaks the ISA."""
        self._capture = None
        emulator = Emulator(program, self.config)
        begin = time.perf_counter()
        emulator.execute(memory, self._record, progress and _instruction_observer(program, progress))
        self._capture = emulator.capture if self._record else None
        return RunReport(self.name, program.macs, self.config.multipliers, time.perf_counter() - begin)

    def trace(self) -> Writes:
        return Writes(*written_words(self.capture(), self.config.size))

    def capture(self) -> Capture:
        if not self._record:
            raise DeviceError("this emulator records nothing; create it with record=True")
        if self._capture is None:
            raise DeviceError("nothing has run yet")
        return self._capture

    def close(self) -> None:
        self._capture = None


def _instruction_observer(program: Program, progress: Progress) -> Callable[[int], None]:
    layers, count = layers_of(program), len(program)
    return lambda index: progress(Snapshot(index + 1, count, layers[index], (index + 1) / count))


class RtlDevice:
    """The Verilated accelerator of ``config``; its simulator is built unless the cache has it.

    ``waves`` are recorded for the first run, which is simulated a second time for them.

    Attributes
    ----------
    timeline
        What every unit did in the last run; None before it, and in a device made without ``timeline``
        or ``waves``.
    """

    name = "rtl"

    def __init__(self, config: Config, timing: Timing | None = None, waves: Waves | None = None,
                 timeline: bool = False) -> None:
        self.config = config
        self.timeline: Timeline | None = None
        self._timing, self._waves = timing or Timing(), waves
        self._records_events = timeline or waves is not None
        self._build = simulator_of(config)
        self._driver: RtlDriver | None = None
        self._trace: Writes | None = None

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
        self._driver = driver = RtlDriver(self._build, program, memory, self._timing)
        driver.simulator.record()
        driver.simulator.record_events(self._records_events)
        begin = time.perf_counter()
        status = driver.run(progress and register_observer(driver, progress))
        seconds = time.perf_counter() - begin
        if self._records_events:
            self.timeline = make_timeline(program, driver.simulator.take_events())
        if not status.done:
            raise RunError(describe(driver, status))
        return report_of(driver, self.name, seconds)

    def trace(self) -> Writes:
        if self._driver is None:
            raise DeviceError("nothing has run yet")
        if self._trace is None:
            self._trace = Writes(*self._driver.simulator.take_trace())
        return self._trace

    def capture(self) -> None:
        """None: the trace port shows only written values."""

    def close(self) -> None:
        self._trace = None
        if self._driver is not None:
            self._driver.close()
            self._driver = None


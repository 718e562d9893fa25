"""The RTL as a device: registers, doorbell, interrupt."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.device import DeviceError, Progress
from host.report import RunReport
from isa.config import Config
from isa.fields import Unit
from isa.image import Memory
from isa.program import Program
from isa.registers import (
    ERROR_TEXT,
    IDENTITY_VALUE,
    Block,
    Cause,
    Control,
    Register,
    StatusWord,
    counter_address,
)
from sim.rtl.build import build
from sim.rtl.design import accelerator
from sim.rtl.simulator import RtlSimulator, Stop, Timing
from sim.rtl.timeline import Timeline, make_timeline
from sim.rtl.variants import FAST, WAVES

BASE = 1 << 20                  # anywhere but zero, so that a forgotten base shows
WATCHDOG_CYCLES = 100_000       # far above any wait for memory
LARGEST_RUN = 1 << 40


class RunError(DeviceError):
    """The accelerator ended a run with an error; the text holds the cause and the state of every unit."""


@dataclass(frozen=True)
class Waves:
    """Waveforms of clock cycles ``first`` to ``last`` of a run, counted from the doorbell, go to ``path`` (VCD)."""

    path: Path
    first: int
    last: int


class RtlDevice:
    """The Verilated accelerator of ``config``; builds it when no one has yet.

    ``waves``: records waveforms of the last run, in a slower build of its own. With ``timeline``, what every unit did in
    the last run that ended well is in ``timeline``.
    """

    name = "rtl"

    def __init__(self, config: Config, timing: Timing | None = None, waves: Waves | None = None,
                 timeline: bool = False) -> None:
        self.config = config
        self.timeline: Timeline | None = None
        self._records = timeline
        self._timing, self._waves = timing or Timing(), waves
        self._build = build(accelerator(config), WAVES if waves else FAST)
        self._simulator: RtlSimulator | None = None

    def execute(self, program: Program, memory: Memory, progress: Progress | None = None) -> RunReport:
        """Runs from the doorbell to the interrupt; raises ``RunError`` when the accelerator reports an error."""
        program.require(self.config)
        self.close()
        self._simulator = simulator = RtlSimulator(self._build, memory, BASE, self._timing)
        simulator.record()
        simulator.record_events(self._records)
        self._prepare(simulator, program)
        if self._waves:
            start = simulator.cycles
            simulator.open_waves(self._waves.path, start + self._waves.first, start + self._waves.last)
        begin = time.perf_counter()
        self._run(simulator, len(program), progress)
        seconds = time.perf_counter() - begin
        status = StatusWord.decode(simulator.read_register(Register.STATUS))
        if not status.done:
            raise RunError(self._failure(simulator, program, status))
        if self._records:
            self.timeline = make_timeline(program, simulator.take_events())
        cycles = self._read_64(simulator, Register.CYCLES)
        return RunReport(self.name, program.macs, self.config.multipliers, seconds, cycles, self._counters(simulator),
                         self._read_64(simulator, Register.BEATS_READ), self._read_64(simulator, Register.BEATS_WRITTEN))

    def trace(self) -> tuple[NDArray[np.uint32], NDArray[np.int8]]:
        """The words that the POST unit wrote in the last run: addresses [n] and words [n, size]."""
        if self._simulator is None:
            raise DeviceError("nothing has run yet")
        return self._simulator.take_trace()

    def close(self) -> None:
        if self._simulator is not None:
            self._simulator.close()
            self._simulator = None

    def _prepare(self, simulator: RtlSimulator, program: Program) -> None:
        if simulator.read_register(Register.IDENTITY) != IDENTITY_VALUE:
            raise DeviceError("the device does not answer as a Weft accelerator")
        if simulator.read_register(Register.CONFIG) != int(self.config.digest[:8], 16):
            raise DeviceError(f"the device is not of configuration {self.config.name}")
        code = BASE + program.code_address
        for register, value in ((Register.PROGRAM, code), (Register.BASE, BASE)):
            simulator.write_register(register, value & 0xFFFF_FFFF)
            simulator.write_register(register + 4, value >> 32)
        simulator.write_register(Register.WATCHDOG, WATCHDOG_CYCLES)
        simulator.write_register(Register.INTERRUPT_ENABLE, 1)

    def _run(self, simulator: RtlSimulator, instructions: int, progress: Progress | None) -> None:
        simulator.write_register(Register.CONTROL, 1 << Control.START)
        if progress is None:
            simulator.run(LARGEST_RUN)
            return
        while simulator.run(1 << 16) is not Stop.IRQ:
            progress(simulator.read_register(Register.FETCHED), instructions)

    def _counters(self, simulator: RtlSimulator) -> dict[str, dict[str, int]]:
        return {block.name: {cause.name: self._read_64(simulator, counter_address(block, cause)) for cause in Cause}
                for block in Block}

    def _failure(self, simulator: RtlSimulator, program: Program, status: StatusWord) -> str:
        unit = simulator.read_register(Register.ERROR_UNIT)
        name = Unit(unit).name if unit < len(Unit) else "FETCH"
        lines = [f"the run failed in {name}: {ERROR_TEXT.get(status.error, status.error.name)}; "
                 f"{simulator.read_register(Register.FETCHED)} of {len(program)} instructions fetched"]
        for each in Unit:
            state = simulator.read_register(Register.STATE + 4 * each)
            retired = simulator.read_register(Register.RETIRED + 4 * each)
            tokens = simulator.read_register(Register.TOKENS + 4 * each)
            held = {p.name: tokens >> 8 * p & 0xFF for p in Unit if tokens >> 8 * p & 0xFF}
            lines.append(f"  {each.name}: {retired} done, {state & 0xFF} waiting, {state >> 8 & 0xFF} in flight, "
                         f"{Cause(state >> 16 & 0xF).name}, tokens {held or 'none'}")
        return "\n".join(lines)

    @staticmethod
    def _read_64(simulator: RtlSimulator, address: int) -> int:
        return simulator.read_register(address) | simulator.read_register(address + 4) << 32
